"""The ELBO axis: nats below the best of a data set, stretched towards 0.

At small rho the ELBO falls by tens of nats, near the critical rho by fractions of one, and data sets lie tens of nats
apart. So that the part that matters can be seen, and nothing is cut off,

    height(elbo) = asinh(elbo - best),    best = the highest median over rho of any curve of its data set in the panel

which is linear within a nat of the best and logarithmic far below it. Ticks carry the true differences. Curves of one
data set share their best, so that which is higher can be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from analysis.frames.curves import Curve

Key: TypeAlias = tuple[Any, ...]
_NICE = (0, -1, -10, -100, -1000, -3, -30, -300, 1, 3, 10, -0.5, -2)
_APART = 0.14  # inches between the labels of two ticks


def best_of_each(summaries: Iterable[Curve]) -> dict[Key, float]:
    """Return the highest median ELBO in nats, by data, over the rows of `summarise`."""
    best: dict[Key, float] = {}
    for curve in summaries:
        highest = float(curve.rows["elbo_median"].max())
        best[curve.data] = max(highest, best.get(curve.data, highest))
    return best


def below_best(rows: pd.DataFrame, best: float) -> pd.DataFrame:
    """Return rows whose ELBO columns are differences from the best."""
    elbo = [name for name in map(str, rows) if name.startswith("elbo")]
    return rows.assign(**{name: rows[name].astype("float64") - best for name in elbo})


def set_elbo_axis(ax: Axes, inches: float) -> None:
    """Give axes that are `inches` high and hold differences from the best the stretched axis, with true ticks."""
    ax.set_yscale("function", functions=(np.arcsinh, _difference))
    low, high = np.arcsinh(ax.dataLim.intervaly)
    low, high = min(low, np.arcsinh(-1)), max(high, 0)
    pad = 0.08 * (high - low)
    ax.set_ylim(_difference(low - pad), _difference(high + pad))
    apart = _APART / inches * (1.16 * (high - low))
    chosen: list[float] = []
    for value in _NICE:
        place = np.arcsinh(value)
        if low - pad <= place <= high + pad and all(abs(place - np.arcsinh(other)) >= apart for other in chosen):
            chosen.append(value)
    ax.yaxis.set_major_locator(FixedLocator(sorted(chosen)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    ax.yaxis.set_minor_locator(FixedLocator([-0.5, -2, -5, -20, -50]))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _difference(height: Any) -> Any:
    """Return the differences at heights on the axis, as far as floats go."""
    return np.sinh(np.clip(height, -700, 700))
