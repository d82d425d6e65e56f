"""The c axis: every rho of a figure at its c = rho^2 (1 - 1/K) + 1/K, on which curves of different K compare."""

from __future__ import annotations

import math

import pandas as pd

from analysis.axes.critical_extent import critical_extent
from analysis.axes.legend import C_C
from hvae_core.spec import retained_variance

ENDS = ("extent_low", "extent_high")  # of what is drawn, see `critical_extent`
PLACES = ("rho_critical", "interval90_low", "interval90_high", "grid_low", "grid_high")


def on_c_axis(
    frame: pd.DataFrame, summary: pd.DataFrame, critical: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return copies of a tidy frame, its summary and its critical values with c in the place of rho."""
    rows = [{str(name): value for name, value in row.items()} for row in critical.to_dict("records")]
    extents = [critical_extent(row) or (math.nan, math.nan) for row in rows]
    ends = pd.DataFrame(extents, index=critical.index, columns=list(ENDS), dtype="float64")
    # The width in c of a width in rho about the crossing x: c(x + w/2) - c(x - w/2).
    steepness = 2 * critical["rho_crossing"] * (1 - 1 / critical["ou_samples"].astype("float64"))
    moved = critical.assign(
        **{name: _c(critical[name], critical) for name in (*PLACES, "rho_crossing")},
        **{name: _c(ends[name], critical) for name in ENDS},
        **{name: critical[name].astype("float64") * steepness for name in ("rounding", "widest")},
        symbol=C_C,
    )
    return frame.assign(rho=_c(frame["rho"], frame)), summary.assign(rho=_c(summary["rho"], summary)), moved


def _c(rho: pd.Series[float], rows: pd.DataFrame) -> pd.Series[float]:
    pairs = zip(rho.astype("float64"), rows["ou_samples"].astype("float64"), strict=True)
    return pd.Series([retained_variance(*pair) for pair in pairs], index=rows.index, dtype="float64")
