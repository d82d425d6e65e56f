"""How one curve of the phase-transition figure is drawn: its look, its median and seeds, its critical value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection

from analysis.axes import style
from analysis.axes.critical_extent import critical_extent, critical_height
from analysis.axes.elbo_axis import below_best
from analysis.axes.legend import WIDE
from analysis.frames.baseline import below_baseline
from analysis.frames.curves import Curve

HATCHES = ("////", "\\\\\\\\", "||||", "----")  # of crossovers, which may overlap
NULL_GREY = (0.6, 0.6, 0.6)
CROSS: dict[str, Any] = {"color": "0.1", "linestyle": "", "marker": "+", "markersize": 6, "markeredgewidth": 0.9}


Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Look:
    """How one curve is drawn: all with lines of one weight and markers of one size.

    hollow: markers through which those of a curve that coincides are seen.
    """

    colour: tuple[float, float, float]
    line: style.Line
    marker: str
    hollow: bool = False
    behind: bool = False

    @property
    def drawn(self) -> dict[str, Any]:
        """The properties of its line."""
        looks: dict[str, Any] = {"color": self.colour, "linestyle": self.line, "marker": self.marker, "linewidth": 1.0}
        if self.hollow:
            looks |= {"markerfacecolor": "none", "markeredgecolor": self.colour, "markeredgewidth": 0.8}
        else:
            looks |= {"markeredgecolor": "white"}
        return {**looks, "markersize": style.MARKER_POINTS, "zorder": 2.5 if self.behind else 3}


def looks_of(drawn: Sequence[Curve]) -> dict[Key, Look]:
    """Colour by data set and dash by settings; colour and dash by settings where there is one data set.

    Markers all differ. Where the settings of one data set differ in one number alone, such as K, colours run from light
    to dark with it. Nulls are grey.
    """
    images = [curve for curve in drawn if not curve.is_null] or drawn
    nulls = [curve for curve in drawn if curve not in images]
    data = list(dict.fromkeys(curve.data for curve in images))
    variants = list(dict.fromkeys(curve.variant for curve in drawn))
    pairs = list(dict.fromkeys((curve.data, curve.variant) for curve in images))
    shades = _shades([pair[1] for pair in pairs]) if len(data) == 1 else {}
    looks = {}
    for i, curve in enumerate(nulls):
        line: style.Line = style.LINES[variants.index(curve.variant) % len(style.LINES)]
        marker = style.MARKERS[-1 - i % len(style.MARKERS)]
        looks[curve.key] = Look(NULL_GREY, line, marker, hollow=True, behind=True)
    for curve in images:
        d, v, pair = data.index(curve.data), variants.index(curve.variant), pairs.index((curve.data, curve.variant))
        colour = shades.get(curve.variant, style.colour(d if len(data) > 1 else v))
        marker = style.MARKERS[pair % len(style.MARKERS)]
        looks[curve.key] = Look(colour, style.LINES[v % len(style.LINES)], marker, hollow=len(pairs) > 1)
    return looks


def _shades(variants: Sequence[Key]) -> dict[Key, tuple[float, float, float]]:
    """Colours from light to dark of three or more settings that differ in one number; none where they do not."""
    differing = [values for values in zip(*variants, strict=True) if len(set(values)) > 1]
    if len(variants) < 3 or len(differing) != 1 or not all(isinstance(value, int | float) for value in differing[0]):
        return {}
    ranks = {value: i / (len(variants) - 1) for i, value in enumerate(sorted(differing[0]))}
    return {variant: style.sequential(ranks[value]) for variant, value in zip(variants, differing[0], strict=True)}


def draw_curve(axes: Mapping[str, Axes], rows: pd.DataFrame, look: Look) -> None:
    """Draw the range and the median over seeds into every panel."""
    rho, several = rows["rho"].to_numpy(), (rows["n_seeds"] > 1).to_numpy()
    for metric, ax in axes.items():
        median, low, high = (rows[f"{metric}_{name}"].to_numpy() for name in ("median", "min", "max"))
        if several.any():
            band = ax.fill_between(rho, low, high, where=several, color=look.colour, alpha=0.18, linewidth=0)
            band.set_gid("range")
        (line,) = ax.plot(rho, median, **look.drawn)
        line.set(gid="median", clip_on=False)


def draw_critical(ax: Axes, row: Any, look: Look, place: int = 0) -> None:
    """Show the critical rho in the lower half: a line under its interval, or a band where it is known less well."""
    extent, height = critical_extent(row), critical_height(row, place)
    if extent is None:
        return
    low, high = extent
    match row["kind"]:
        case "bracket":
            _band(ax, low, high, height, look, "bracket")
        case "crossover":
            band = _band(ax, low, high, height, look, "crossover")
            band.set(hatch=HATCHES[place % len(HATCHES)], facecolor="none")
        case _ if high - low > WIDE:
            _band(ax, low, high, height, look, "interval")
        case _:
            (drop,) = ax.plot([row["rho_critical"]] * 2, [height, 0], color=look.colour, linestyle=":", linewidth=0.9)
            drop.set(gid="critical", zorder=2)
            (bar,) = ax.plot([low, high], [height, height], color=look.colour, linewidth=1.0, marker="|", markersize=5)
            bar.set(gid="interval", markeredgewidth=1.0, zorder=4)


def _band(ax: Axes, low: float, high: float, height: float, look: Look, gid: str) -> FillBetweenPolyCollection:
    band = ax.fill_between([low, high], 0, height, facecolor=(*look.colour, 0.12), zorder=1)
    band.set(gid=gid, edgecolor=(*look.colour, 0.5), linewidth=0.7, linestyle=look.line)
    return band


def draw_seeds(axes: Mapping[str, Axes], cells: pd.DataFrame, look: Look) -> None:
    """Draw single seeds as small points, where there are several."""
    several = cells[cells.groupby("rho")["seed"].transform("size") > 1]
    if len(several):
        for metric, ax in axes.items():
            (points,) = ax.plot(several["rho"].to_numpy(), several[metric].astype("float64").to_numpy(), zorder=2)
            points.set(gid="seeds", color=look.colour, linestyle="", marker=look.marker, markersize=2.0)
            points.set(alpha=0.4, markeredgewidth=0, clip_on=False)


def mark_untrained(axes: Mapping[str, Axes], cells: pd.DataFrame, best: float) -> None:
    """Mark the cells whose ELBO is below the baseline with a plus, in every panel."""
    worse = below_best(cells[below_baseline(cells)], best)
    if len(worse):
        for metric, ax in axes.items():
            (marks,) = ax.plot(worse["rho"].to_numpy(), worse[metric].astype("float64").to_numpy(), **CROSS)
            marks.set(gid="untrained", clip_on=False, zorder=6)
