"""Tidy frame -> one row per curve, rho and layer: what the layer knows about the image, beside its KL.

A layer's own KL bounds its information only at the top: below it, KL_i is what z_i costs given z_{i+1}. What bounds
I(x; z_i) is the cost of the layers from i to the top,

    I(x; z_i)  <=  I(x; z_i .. z_L)  <=  KL_i + .. + KL_L
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.curves import CURVE, Curve

NEAR_CEILING = 0.3  # nats below log N, from where on an estimate says little
NUMBERS = ("kl", "kl_from_here", "info", "info_high", "info_gauss", "share")
STATISTICS = ("median", "min", "max")
COLUMNS = (
    *(*CURVE, "rho", "layer", "n_seeds", "examples", "paths"),
    *(f"{name}_{statistic}" for name in NUMBERS for statistic in STATISTICS),
)


def information_table(group: list[Curve]) -> pd.DataFrame:
    """Return a row for every layer of each curve at each rho where cells have information, over their seeds.

    kl, kl_from_here (KL_i + .. + KL_L), info (the lower estimate), info_high (the upper) and info_gauss are in nats per
    example. examples and paths are the fewest that any seed's estimate was made from.
    """
    rows: list[dict[str, Any]] = []
    for curve in group:
        for rho, cells in evaluated(curve).groupby("rho"):
            for layer in range(curve.model.depth, 0, -1):
                row = {**curve.declared, "rho": rho, "layer": layer, "n_seeds": len(cells)}
                row |= {"examples": int(cells["info_examples"].min()), "paths": int(cells["info_paths"].min())}
                for name, values in _numbers(cells, layer, curve.model.depth).items():
                    row |= {f"{name}_{statistic}": float(values.agg(statistic)) for statistic in STATISTICS}
                rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def evaluated(curve: Curve) -> pd.DataFrame:
    """Return the complete cells of a curve whose information was evaluated."""
    cells = curve.complete
    return cells[cells["info_top"].notna()] if "info_top" in cells else cells.iloc[:0]


def at_ceiling(table: pd.DataFrame, curve: Curve) -> list[int]:
    """Name the layers of a curve whose lower estimate comes near log N at some rho, which no such estimate exceeds."""
    rows = rows_of(table, curve)
    near = rows[rows["info_max"] > np.log(rows["examples"].astype("float64")) - NEAR_CEILING]
    return sorted({int(layer) for layer in near["layer"]})


def rows_of(table: pd.DataFrame, curve: Curve) -> pd.DataFrame:
    """Return the rows of one curve, by rho."""
    mask = pd.Series(True, index=table.index)
    for name, value in curve.declared.items():
        mask &= table[name].isna() if value is None else table[name] == value
    return table[mask].sort_values("rho")


def _numbers(cells: pd.DataFrame, layer: int, depth: int) -> dict[str, pd.Series[float]]:
    above = cells[[f"kl_{i}" for i in range(layer, depth + 1)]].astype("float64").sum(axis=1)
    names = {name: f"{name.split('_')[0]}_{layer}{name[len(name.split('_')[0]) :]}" for name in NUMBERS}
    named = {name: cells[column].astype("float64") for name, column in names.items() if column in cells}
    missing = pd.Series(float("nan"), index=cells.index)
    return {name: above if name == "kl_from_here" else named.get(name, missing) for name in NUMBERS}
