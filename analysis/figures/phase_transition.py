"""The phase-transition figure: top KL over rho, and beneath it active units, share or information, and ELBO.

One column per model, one curve per data set and training settings. The line is the median over seeds; small points
are single seeds and the band runs from the smallest to the largest of them (neither for one seed). A dotted line
falls from half of the plateau at the critical rho (of no null), a bar across its top is its 90 % interval. Where only
the grid bounds it, or the interval is wide, a band stands for it; a hatched one is a crossover, over its width. Marks
below the curves stand for cells that are not complete.

Top KL is high on pure noise too: a data set's null (see hvae_core/data/null.py) is drawn in grey behind it, and the
share of the top layer's variation that the image explains, or its information about the image (the lower estimate)
where that was evaluated, stands below the KL. The ELBO is there because KL can stay high while the model gets worse:
what training maximises at rho < 1 is no bound. It is drawn as the difference from the best (see `elbo_axis`). Curves
that coincide are both seen: every other one is wide, with large hollow markers, and lies beneath.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.axes import style
from analysis.axes.elbo_axis import below_best, best_of_each
from analysis.axes.legend import WIDE, panel_legend
from analysis.axes.rho_axis import set_rho_axis
from analysis.figures.transition_panels import NAMES, PANELS, label_of, panels_of, set_scale
from analysis.frames.baseline import below_baseline
from analysis.frames.curves import Curve, curves

MAX_MODELS = 4
TITLE = "Use of the top layer over smoothing"
MISSING = {"pending": "|", "failed": "x", "diverged": "x", "untrained": "+"}
UNTRAINED = "worse than independent pixels"
NULL_GREY = (0.6, 0.6, 0.6)
C_LABEL = r"retained variance $c(\rho, K)$"

_LEFT, _INNER, _RIGHT, _GAP, _XLABEL, _LINE, _HANDLE = 0.68, 0.42, 0.08, 0.10, 0.38, 0.13, 0.42  # inches

_CROSS: dict[str, Any] = {"color": "0.1", "linestyle": "", "marker": "+", "markersize": 6, "markeredgewidth": 0.9}

Key: TypeAlias = tuple[Any, ...]
Axis: TypeAlias = Literal["rho", "linear", "c"]


@dataclass(frozen=True)
class Look:
    """How one curve is drawn."""

    colour: tuple[float, float, float]
    line: style.Line
    marker: str
    wide: bool = False
    behind: bool = False

    @property
    def drawn(self) -> dict[str, Any]:
        """The properties of its line: a wide one can be seen beneath a narrow one."""
        looks: dict[str, Any] = {"color": self.colour, "linestyle": self.line, "marker": self.marker}
        if self.behind:
            return {**looks, "linewidth": 1.0, "markeredgecolor": "white", "zorder": 2.5}
        if self.wide:
            hollow = {"markersize": 5.0, "markerfacecolor": "white", "markeredgecolor": self.colour}
            return {**looks, **hollow, "linewidth": 2.0, "markeredgewidth": 1.0, "zorder": 3}
        return {**looks, "linewidth": 1.0, "markeredgecolor": "white", "zorder": 3.5}


@dataclass
class Column:
    """The panels of one model: its curves, where it stands in the figure, the best ELBO by data, and its legend."""

    curves: list[Curve]
    left: float
    inches: float
    margin: float
    best: dict[Key, float]
    heading: str = ""
    labels: list[str] = field(default_factory=list)
    handles: list[Line2D] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines of text in the legend."""
        return sum(text.count("\n") + 1 for text in (self.heading, *self.labels))


def draw_phase_transition(
    frame: pd.DataFrame,
    summary: pd.DataFrame,
    critical: pd.DataFrame,
    *,
    title: bool = True,
    axis: Axis = "rho",
    panels: Sequence[str] = (),
) -> Figure:
    """Draw the figure of a tidy frame: 3.35 inches wide for one model, 7 for two to four; more are left out.

    `summary` is what `summarise` made of the frame, `critical` what `critical_table` did. `axis` is rho (stretched
    where the grid is, see `rho_axis`), linear, or c, for frames `on_c_axis`. `panels` are keys of NAMES; without any,
    those of `panels_of`. KL, information and ELBO are in nats per example. Raises ValueError if no cell is complete.
    """
    drawn = [curve for curve in curves(frame) if len(curve.complete)]
    if not drawn:
        raise ValueError("nothing to draw: no cell is complete")
    models = models_drawn(drawn)
    drawn = [curve for curve in drawn if curve["model"] in models]
    by_curve = {curve.key: curve for curve in curves(summary)}
    thresholds = {curve.key: curve.rows.iloc[0] for curve in curves(critical)}
    looks, metrics = _looks(drawn), [NAMES[name] for name in panels or panels_of(frame)]
    with style.paper_style():
        columns = _columns(drawn, models, thresholds, by_curve, looks)
        figure = _figure(columns, title, metrics)
        rhos = sorted({float(rho) for curve in drawn for rho in curve.rows["rho"]})
        for i, column in enumerate(columns):
            axes = _axes(figure, column, 0.42 if title else 0.22, metrics)
            for curve in column.curves:
                best = column.best[curve.data]
                _draw_seeds(axes, below_best(curve.complete, best), looks[curve.key])
                _draw_curve(axes, below_best(by_curve[curve.key].rows, best), looks[curve.key])
                _mark_untrained(axes, curve.complete, best)
                if "kl_top" in axes and not looks[curve.key].behind:
                    _draw_critical(axes["kl_top"], thresholds[curve.key], looks[curve.key])
            if "kl_top" in axes:
                _scale_kl(axes["kl_top"], column, looks)
            for metric, ax in axes.items():
                set_scale(ax, metric, column.curves)
            stretched = set_rho_axis(list(axes.values()), rhos, column.inches, "auto" if axis == "rho" else "linear")
            axes[metrics[-1]].set_xlabel(C_LABEL if axis == "c" else _rho_label(column.inches, stretched), labelpad=2)
            if i == 0:
                _label_panels(axes, column, {curve.top_width for curve in drawn})
            _draw_legend(figure, column)
    return figure


def models_drawn(drawn: Sequence[Curve]) -> list[str]:
    """Models that have a column in the figure: the first four."""
    return list(dict.fromkeys(curve["model"] for curve in drawn))[:MAX_MODELS]


def _looks(drawn: Sequence[Curve]) -> dict[Key, Look]:
    """Colour by data set and line by settings; colour by settings where there is one data set; markers all differ.

    Nulls are grey.
    """
    images = [curve for curve in drawn if not curve.is_null] or drawn
    nulls = [curve for curve in drawn if curve not in images]
    data = list(dict.fromkeys(curve.data for curve in images))
    variants = list(dict.fromkeys(curve.variant for curve in drawn))
    pairs = list(dict.fromkeys((curve.data, curve.variant) for curve in images))
    looks = {}
    for i, curve in enumerate(nulls):
        line: style.Line = style.LINES[variants.index(curve.variant) % len(style.LINES)]
        marker = style.MARKERS[-1 - i % len(style.MARKERS)]
        looks[curve.key] = Look(NULL_GREY, line, marker, behind=True)
    for curve in images:
        d, v, pair = data.index(curve.data), variants.index(curve.variant), pairs.index((curve.data, curve.variant))
        line = style.LINES[v % len(style.LINES)] if len(data) > 1 else "-"
        marker = style.MARKERS[pair % len(style.MARKERS)]
        wide = len(pairs) > 1 and (d + v) % 2 == 0  # neighbours in data or in settings, which may coincide, differ
        looks[curve.key] = Look(style.colour(d if len(data) > 1 else v), line, marker, wide)
    return looks


def _columns(
    drawn: Sequence[Curve],
    models: Sequence[str],
    thresholds: Mapping[Key, Any],
    summary: Mapping[Key, Curve],
    looks: Mapping[Key, Look],
) -> list[Column]:
    width = style.COLUMN_INCHES if len(models) == 1 else style.PAGE_INCHES
    inches = (width - _LEFT - _INNER * (len(models) - 1) - _RIGHT) / len(models)
    columns = []
    for i, model in enumerate(models):
        group = [curve for curve in drawn if curve["model"] == model]
        best = best_of_each(summary[curve.key] for curve in group)
        column = Column(group, _LEFT + i * (inches + _INNER), inches, _INNER if i else _LEFT, best)
        room = inches + column.margin - 0.06
        column.heading, column.labels = panel_legend(group, thresholds, best, room, _HANDLE)
        for curve in group:
            column.handles.append(Line2D([], [], **looks[curve.key].drawn))
        states = {state for curve in group for state in curve.rows["state"]} - {"complete"}
        for marker in dict.fromkeys(marker for state, marker in MISSING.items() if state in states):
            named = sorted(state for state in states if MISSING[state] == marker)
            column.labels.append(f"{' or '.join(named)} cell" if marker != MISSING["untrained"] else UNTRAINED)
            column.handles.append(Line2D([], [], color="0.3", linestyle="", marker=marker, markeredgewidth=0.8))
        worse = any(below_baseline(curve.complete).any() for curve in group)
        if worse and UNTRAINED not in column.labels:
            column.labels.append(UNTRAINED)
            column.handles.append(Line2D([], [], **{**_CROSS, "markersize": 4}))
        columns.append(column)
    return columns


def _figure(columns: Sequence[Column], title: bool, metrics: Sequence[str]) -> Figure:
    """Make the figure, as high as its panels and the longest legend need."""
    width = columns[-1].left + columns[-1].inches + _RIGHT
    panels = sum(PANELS[metric] for metric in metrics) + _GAP * (len(metrics) - 1)
    height = (0.42 if title else 0.22) + panels + _XLABEL + _LINE * max(column.lines for column in columns) + 0.06
    figure = style.new_figure(width, height)
    if title:
        figure.suptitle(TITLE, y=1 - 0.05 / height, va="top")
    return figure


def _axes(figure: Figure, column: Column, top: float, metrics: Sequence[str]) -> dict[str, Axes]:
    """Stack the panels of one model under its name; only the lowest has rho labels."""
    width, height = figure.get_size_inches()
    axes: dict[str, Axes] = {}
    for metric in metrics:
        panel = PANELS[metric]
        top += panel
        box = (column.left / width, 1 - top / height, column.inches / width, panel / height)
        ax = figure.add_axes(box, sharex=axes.get(metrics[0]), label=metric)
        ax.tick_params(axis="x", which="both", labelbottom=metric == metrics[-1])
        axes[metric] = ax
        top += _GAP
    axes[metrics[0]].set_title(style.plain(column.curves[0]["model"]), pad=4)
    return axes


def _draw_curve(axes: Mapping[str, Axes], rows: pd.DataFrame, look: Look) -> None:
    """Draw the range and the median over seeds into every panel."""
    rho, several = rows["rho"].to_numpy(), (rows["n_seeds"] > 1).to_numpy()
    for metric, ax in axes.items():
        median, low, high = (rows[f"{metric}_{name}"].to_numpy() for name in ("median", "min", "max"))
        if several.any():
            band = ax.fill_between(rho, low, high, where=several, color=look.colour, alpha=0.18, linewidth=0)
            band.set_gid("range")
        (line,) = ax.plot(rho, median, **look.drawn)
        line.set(gid="median", clip_on=False)


def _draw_critical(ax: Axes, row: Any, look: Look) -> None:
    """Show the critical rho in the lower half: a line under its interval, or a band where it is known less well."""
    half = row["plateau"] / 2
    low, high = row["interval90_low"], row["interval90_high"]
    match row["kind"]:
        case "kink" | "undecided" | "jump" if high - low <= WIDE:
            (drop,) = ax.plot([row["rho_critical"]] * 2, [half, 0], color=look.colour, linestyle=":", linewidth=0.9)
            drop.set(gid="critical", zorder=2)
            (bar,) = ax.plot([low, high], [half, half], color=look.colour, linewidth=1.0, marker="|", markersize=5)
            bar.set(gid="interval", markeredgewidth=1.0, zorder=4)
        case "kink" | "undecided" | "jump":
            _band(ax, low, high, half, look, "interval")
        case "bracket":
            _band(ax, row["grid_low"], row["grid_high"], half, look, "bracket")
        case "crossover" if not math.isnan(row["rho_crossing"]):
            middle, width = row["rho_crossing"], row["rounding"]
            band = _band(ax, middle - width, min(middle + width, 1.0), half, look, "crossover")
            band.set(hatch="/////", facecolor="none", edgecolor=(*look.colour, 0.35))


def _band(ax: Axes, low: float, high: float, height: float, look: Look, gid: str) -> FillBetweenPolyCollection:
    band = ax.fill_between([low, high], 0, height, facecolor=(*look.colour, 0.12), linewidth=0, zorder=1)
    band.set_gid(gid)
    return band


def _draw_seeds(axes: Mapping[str, Axes], cells: pd.DataFrame, look: Look) -> None:
    """Draw single seeds as small points, where there are several."""
    several = cells[cells.groupby("rho")["seed"].transform("size") > 1]
    if len(several):
        for metric, ax in axes.items():
            (points,) = ax.plot(several["rho"].to_numpy(), several[metric].astype("float64").to_numpy(), zorder=2)
            points.set(gid="seeds", color=look.colour, linestyle="", marker=look.marker, markersize=2.2)
            points.set(alpha=0.4, markeredgewidth=0, clip_on=False)


def _mark_untrained(axes: Mapping[str, Axes], cells: pd.DataFrame, best: float) -> None:
    """Mark the cells whose ELBO is below the baseline with a plus, in every panel."""
    worse = below_best(cells[below_baseline(cells)], best)
    if len(worse):
        for metric, ax in axes.items():
            (marks,) = ax.plot(worse["rho"].to_numpy(), worse[metric].astype("float64").to_numpy(), **_CROSS)
            marks.set(gid="untrained", clip_on=False, zorder=6)


def _scale_kl(kl: Axes, column: Column, looks: Mapping[Key, Look]) -> None:
    """Set the KL's scale, with room below for the marks of cells that are not complete."""
    highest = max(float(curve.complete["kl_top"].max()) for curve in column.curves)
    highest = max(highest, 0.1)
    rows = 0
    for curve in column.curves:
        missing = curve.rows[curve.rows["state"] != "complete"].drop_duplicates(["rho", "state"])
        rows += bool(len(missing))
        for state, cells in missing.groupby("state"):
            height = [-0.055 * highest * rows] * len(cells)
            (marks,) = kl.plot(cells["rho"].to_numpy(), height, linestyle="", marker=MISSING[str(state)])
            marks.set(gid=str(state), color=looks[curve.key].colour, markeredgewidth=0.8, clip_on=False)
    kl.set_ylim(-highest * (0.055 * (rows + 0.7) if rows else 0.03), 1.05 * highest)
    kl.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _label_panels(axes: Mapping[str, Axes], column: Column, widths: set[int]) -> None:
    for metric, ax in axes.items():
        ax.set_ylabel(label_of(metric, widths), verticalalignment="top", linespacing=1.1)
        ax.yaxis.set_label_coords(-(_LEFT - 0.03) / column.inches, 0.5)


def _rho_label(inches: float, stretched: bool) -> str:
    if inches < 2.2:
        return "ρ (stretched axis)" if stretched else "OU correlation ρ"
    return f"OU correlation ρ{' (axis stretched towards 1)' if stretched else ''}"


def _draw_legend(figure: Figure, column: Column) -> None:
    width, height = figure.get_size_inches()
    legend = figure.legend(
        column.handles,
        column.labels,
        title=column.heading,
        loc="upper left",
        bbox_to_anchor=((column.left - column.margin + 0.06) / width, (_LINE * column.lines + 0.06) / height),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.2,
        handlelength=2.2,
        handletextpad=0.6,
        alignment="left",
    )
    legend.set_gid("legend")
