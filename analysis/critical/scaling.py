"""Curves of several widths and numbers of steps: what becomes sharper, what only becomes larger.

kl_per_unit       plateau of the top KL / units: the mean over seeds at the rho where the median is largest
share_active      active top units / units at the largest rho
rounding          s of the kink, with the least and the largest that the curve allows
onset             rho_c with its interval where there is one; crossing: 0.05 nats per unit
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.critical.seed_interval import seed_interval
from analysis.critical.table import Measured
from analysis.frames.curves import CURVE, curves

PANELS = ("kl_per_unit", "share_active", "rounding", "onset")
NUMBERS = tuple(f"{name}{end}" for name in PANELS for end in ("", "_low", "_high"))
COLUMNS = (*CURVE, "depth", "units", "n_rho", "n_seeds", *NUMBERS, "crossing", "kind")


def scaling_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (COLUMNS) per curve that has complete cells; KL in nats, intervals at 90 %."""
    rows = [_row(Measured.of(curve)) for curve in curves(frame[frame["state"] == "complete"])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(measured: Measured) -> dict[str, Any]:
    found, curve, units = measured.estimate(), measured.curve, measured.units
    row: dict[str, Any] = {**curve.declared, "units": units, "n_rho": len(measured.rho), "kind": found.kind}
    row |= {"depth": curve.model.depth, "n_seeds": len(measured.seeds), "crossing": found.crossing}
    if not len(measured.rho):
        return row
    largest = measured.by_seed[:, int(measured.median.argmax())] / units
    last = curve.complete[curve.complete["rho"] == measured.rho[-1]]["au_top"].astype("float64") / units
    # A rounding that no curve was fitted for stays out, as does one beyond the largest that is tried.
    smallest, widest = found.rounding, found.widest
    values = {
        "kl_per_unit": seed_interval(largest.tolist()),
        "share_active": seed_interval(last.fillna(math.nan).tolist()),
        "rounding": (smallest, smallest, widest),
        "onset": (found.rho, found.low, found.high),
    }
    for name, (middle, low, high) in values.items():
        row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    return row
