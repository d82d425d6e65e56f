"""The c axis: every rho of a figure at its c = rho^2 (1 - 1/K) + 1/K, on which curves of different K compare."""

from __future__ import annotations

import math

import pandas as pd

from analysis.axes.legend import C_C
from hvae_core.spec import retained_variance

PLACES = ("rho_critical", "interval90_low", "interval90_high", "grid_low", "grid_high")


def on_c_axis(
    frame: pd.DataFrame, summary: pd.DataFrame, critical: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return copies of a tidy frame, its summary and its critical values with c in the place of rho."""
    moved = critical.assign(**{name: _c(critical[name], critical) for name in PLACES})
    moved = moved.assign(
        **{name: _width(critical, name) for name in ("rounding", "widest")},
        rho_crossing=_c(critical["rho_crossing"], critical),
        symbol=C_C,
    )
    return frame.assign(rho=_c(frame["rho"], frame)), summary.assign(rho=_c(summary["rho"], summary)), moved


def _width(critical: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return a width about the crossing in units of c; an unknown one stays infinite."""
    width = critical[name].astype("float64")
    low, high = (_c((critical["rho_crossing"] + sign * width / 2).clip(0, 1), critical) for sign in (-1, 1))
    return (high - low).where(width != math.inf, math.inf)


def _c(rho: pd.Series[float], rows: pd.DataFrame) -> pd.Series[float]:
    pairs = zip(rho.astype("float64"), rows["ou_samples"].astype("float64"), strict=True)
    return pd.Series([retained_variance(*pair) for pair in pairs], index=rows.index, dtype="float64")
