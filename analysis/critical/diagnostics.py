"""Other estimators of where a curve falls, each with a target of its own: not a measure of the primary one's error.

rho_half           last fall of the median through half of the plateau (its largest value)
width_10_90        rho of the last fall through 10 % of the plateau - rho of the last fall through 90 %
rho_steepest       middle of the interval in which the median falls most per unit of rho, and that slope
active_half, active_5    last fall of the median number of active top units through 50 % and 5 % of its largest
first_threshold    first threshold of a cascade, with a free exponent (`free_exponent`)

None of a curve that does not fall.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.free_exponent import first_threshold
from analysis.critical.kink import Floats, crossing, isotonic
from analysis.critical.rule import is_flat
from analysis.critical.table import Measured
from analysis.frames.curves import CURVE, curves

NUMBERS = (
    *("rho_half", "width_10_90", "rho_steepest", "steepest_slope", "active_half", "active_5"),
    *("first_threshold", "first_threshold_low", "first_threshold_high", "exponent"),
)
COLUMNS = (*CURVE, *NUMBERS)


def diagnostics_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (COLUMNS) per curve that has complete cells; the slope in nats per 0.01 of rho."""
    complete = frame[frame["state"] == "complete"]
    rows = [{**curve.declared, **_row(Measured.of(curve))} for curve in curves(complete)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(measured: Measured) -> dict[str, Any]:
    rho = measured.rho
    if len(rho) < 2 or is_flat(isotonic(rho, measured.by_seed), measured.units):
        return {}
    median = measured.median
    plateau, slopes = float(median.max()), np.diff(median) / np.diff(rho)
    steepest = int(slopes.argmin())
    half, high, low = (crossing(rho, median, share * plateau) for share in (0.5, 0.9, 0.1))
    row: dict[str, Any] = {"rho_half": half, "width_10_90": low - high}
    if slopes[steepest] < 0:
        row |= {"rho_steepest": float(rho[steepest : steepest + 2].mean()), "steepest_slope": 0.01 * -slopes[steepest]}
    row |= {"active_half": _active(measured, 0.5), "active_5": _active(measured, 0.05)}
    first = first_threshold(rho, measured.by_seed)
    row |= {"first_threshold": first.rho, "first_threshold_low": first.low, "first_threshold_high": first.high}
    return {**row, "exponent": first.exponent}


def _active(measured: Measured, share: float) -> float:
    active = measured.curve.complete.groupby("rho")["au_top"].median().dropna()
    values: Floats = active.to_numpy(dtype=float)
    return crossing(active.index.to_numpy(dtype=float), values, share * values.max()) if len(values) else float("nan")
