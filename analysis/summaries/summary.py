"""Tidy frame -> one row per curve and rho, over seeds: the numbers behind the phase-transition figure."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.frames.curves import CURVE, curves
from hvae_core.spec import retained_variance

METRICS = ("kl_top", "au_top", "share_top", "info_top", "elbo", "bits_per_dim")
STATISTICS = ("median", "min", "max")
COLUMNS = (*CURVE, "rho", "c", "n_seeds", *(f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS))


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Return median, smallest and largest value over the complete seeds of each curve at each rho.

    One rule for every number of seeds, said in the column names: the interval is the range min to max, which
    claims nothing about seeds that were not run. kl_top and elbo are in nats per example, measured unsmoothed;
    info_top is the lower estimate, au_top counts units, share_top is a part of one; share and information are missing
    where they were not measured, bits_per_dim (of the ELBO) where pixels are bits. c = rho^2 (1 - 1/K) + 1/K is the
    retained degree-1 variance.
    """
    rows: list[dict[str, Any]] = []
    for curve in curves(frame[frame["state"] == "complete"]):
        for _, cells in curve.rows.groupby("rho"):
            rho = float(cells["rho"].iloc[0])
            row = {**curve.declared, "rho": rho, "c": retained_variance(rho, curve["ou_samples"])}
            row["n_seeds"] = len(cells)
            for metric in METRICS:
                values = cells[metric].astype("float64") if metric in cells else pd.Series([math.nan])
                row |= {f"{metric}_{name}": float(values.agg(name)) for name in STATISTICS}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))
