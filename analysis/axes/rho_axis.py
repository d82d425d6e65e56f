"""The rho axis: linear, or stretched towards 1 where the grid is.

Grids crowd near rho = 1, where the transition sits, and still start at 0 to show the plateau. On a linear axis the
part that matters would be a sliver. The stretched axis has

    position(rho) = -log(1 - a rho),  a = 0.97

so distances grow like 1 / (1 - a rho): nearly linear at small rho, and finite at rho = 1, which a log scale of
1 - rho is not. Ticks carry true rho values of the grid, and every value of it has a minor tick. One smooth scale was
preferred to a second, zoomed panel (which shows each curve twice) and to a broken axis (which bends the curves).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from analysis.axes.style import SMALL_POINTS

STRETCH = 0.97
SCALES = ("auto", "linear", "stretched")
_NICE = (1, 0, 0.5, 0.9, 0.8, 0.95, 0.7, 0.2, 0.98, 0.6, 0.85, 0.3, 0.4, 0.1, 0.99, 0.97, 0.93, 0.96, 0.94)
_DIGIT = 0.636 * SMALL_POINTS / 72  # inches of a digit of a tick's label


def stretch(rho: Any) -> Any:
    """Position on the stretched axis; beyond rho = 1.03 there is none."""
    return -np.log1p(-STRETCH * np.minimum(rho, 1.03))


def unstretch(position: Any) -> Any:
    """Rho at a position of the stretched axis."""
    return -np.expm1(-np.asarray(position)) / STRETCH


def is_crowded(rhos: Sequence[float]) -> bool:
    """Whether more than half of the distinct rho values lie in the last quarter of their range."""
    grid = np.unique(rhos)
    return len(grid) > 2 and float(np.median(grid)) > grid[0] + 0.75 * (grid[-1] - grid[0])


def set_rho_axis(
    axes: Sequence[Axes], rhos: Sequence[float], inches: float, scale: str = "auto", first: Sequence[float] = ()
) -> bool:
    """Give axes that are `inches` wide the rho axis of a grid; returns whether it is stretched.

    `first` are values of the grid that are labelled before others, where something is said of them.
    "auto" stretches where `is_crowded`. Raises ValueError for another scale than SCALES.
    """
    if scale not in SCALES:
        raise ValueError(f"x_scale: {scale!r} is not allowed; it must be {', '.join(SCALES)}")
    grid = np.unique(rhos)
    stretched = scale == "stretched" or (scale == "auto" and is_crowded(rhos))
    limits = _limits(grid, stretched)
    for ax in axes:
        if stretched:
            ax.set_xscale("function", functions=(stretch, unstretch))
        low, high = unstretch(limits) if stretched else limits
        ax.set_xlim(float(low), float(high))
        if stretched or len(grid) == 1 or not _odd(grid[1:-1]):
            ax.xaxis.set_major_locator(FixedLocator(ticks_of(list(rhos), inches, stretched, first)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        ax.xaxis.set_minor_locator(FixedLocator([] if _odd(grid[1:-1]) else grid.tolist()))
        ax.xaxis.set_minor_formatter(NullFormatter())
    return stretched


def _odd(values: Any) -> bool:
    """Whether most of these values have more digits than a label should: those of a grid of c have."""
    return float(np.mean(np.round(values, 3) != values)) > 0.5 if len(values) else False


def _limits(grid: Any, stretched: bool) -> Any:
    """Return the ends of an axis: of positions where it is stretched."""
    ends = stretch(grid[[0, -1]]) if stretched else grid[[0, -1]]
    pad = 0.04 * (ends[1] - ends[0]) or 0.05
    return np.array([ends[0] - pad, ends[1] + pad])


def ticks_of(rhos: Sequence[float], inches: float, stretched: bool, first: Sequence[float] = ()) -> list[float]:
    """Choose values of the grid whose labels stay apart: the last, the first, those asked for, round ones, others."""
    grid = np.unique(rhos)
    limits, place = _limits(grid, stretched), stretch if stretched else np.asarray
    inch = (limits[1] - limits[0]) / inches
    round_ones = [value for value in _NICE if np.isclose(grid, value, rtol=0, atol=1e-9).any()]
    others = sorted((float(value) for value in grid if round(value, 3) == value), key=lambda value: len(f"{value:g}"))
    chosen: list[float] = []
    asked = [value for value in first if np.isclose(grid, value, rtol=0, atol=1e-9).any()]
    for value in (float(grid[-1]), float(grid[0]), *asked, *round_ones, *others):
        if all(abs(place(value) - place(other)) >= _apart(value, other) * inch for other in chosen):
            chosen.append(value)
    return sorted(chosen)


def _apart(value: float, other: float) -> float:
    """Inches between the middles of two labels that leave a gap of a narrow letter."""
    widths = [_DIGIT * sum(0.5 if sign == "." else 1 for sign in f"{each:.4g}") for each in (value, other)]
    return sum(widths) / 2 + 0.05


def rho_label(inches: float, stretched: bool) -> str:
    """Name a rho axis of that many inches."""
    if inches < 2.2:
        return "ρ (stretched axis)" if stretched else "OU correlation ρ"
    return f"OU correlation ρ{' (axis stretched towards 1)' if stretched else ''}"
