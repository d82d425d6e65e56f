"""The phase-transition figure: top KL over rho, and beneath it active units, share or information, and ELBO.

One column per model, one curve per data set and training settings. The line is the median over seeds; small points
are single seeds and the band runs from the smallest to the largest of them (neither for one seed). A dotted line
falls from half of the plateau at the critical rho (of no null), a bar across its top is its 90 % interval. Where only
the grid bounds it, or the interval is wide, a band with edges as the curve stands for it; a hatched one is a crossover,
about where the KL is 0.05 nats per unit, as wide as the curve allows. Each curve's stand lower than those of the one
before. Marks below the curves stand for cells that are not complete.

Top KL is high on pure noise too: a data set's null (see hvae_core/data/null.py) is drawn in grey behind it, and the
share of the top layer's variation that the image explains, or its information about the image (the lower estimate)
where that was evaluated, stands below the KL. The ELBO is there because KL can stay high while the model gets worse:
what training maximises at rho < 1 is no bound. It is drawn as the difference from the best (see `elbo_axis`). Curves
that coincide are all seen, without one that looks stronger: their markers are hollow and of different shapes, and
their lines have dashes through which those beneath show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.axes import style
from analysis.axes.critical_extent import critical_extent
from analysis.axes.elbo_axis import below_best, best_of_each
from analysis.axes.paper import DEFAULT, Paper
from analysis.axes.rho_axis import rho_label, set_rho_axis
from analysis.frames.baseline import below_baseline
from analysis.frames.curves import Curve, curves
from analysis.phase.transition_curves import (
    CROSS,
    Key,
    Look,
    draw_critical,
    draw_curve,
    draw_seeds,
    looks_of,
    mark_untrained,
)
from analysis.phase.transition_legend import Legend, legend_of
from analysis.phase.transition_panels import NAMES, PANELS, label_of, panels_of, set_scale

MAX_MODELS = 4
TITLE = "Use of the top layer over smoothing"
MISSING = {"pending": "|", "failed": "x", "diverged": "x", "untrained": "+"}
UNTRAINED = "worse than independent pixels"
C_LABEL = r"retained variance $c(\rho, K)$"

_LEFT, _INNER, _RIGHT, _GAP, _XLABEL, _HEADING = 0.68, 0.42, 0.08, 0.10, 0.38, 0.22  # inches

Axis: TypeAlias = Literal["rho", "linear", "c"]


@dataclass
class Column:
    """The panels of one model: its curves, where it stands in the figure, and the best ELBO by data."""

    curves: list[Curve]
    left: float
    inches: float
    best: dict[Key, float]


def draw_phase_transition(
    frame: pd.DataFrame,
    summary: pd.DataFrame,
    critical: pd.DataFrame,
    *,
    paper: Paper = DEFAULT,
    axis: Axis = "rho",
    panels: Sequence[str] = (),
) -> Figure:
    """Draw the figure of a tidy frame: a column for one model, a page for two to four; more are left out.

    A column of a paper holds two models where it is asked to. `summary` is what `summarise` made of the frame,
    `critical` what `critical_table` did. `axis` is rho (stretched where the grid is, see `rho_axis`), linear, or c, for
    frames `on_c_axis`. `panels` are keys of NAMES; without any, those of `panels_of`. KL, information and ELBO are in
    nats per example. Raises ValueError if no cell is complete.
    """
    drawn = [curve for curve in curves(frame) if len(curve.complete)]
    if not drawn:
        raise ValueError("nothing to draw: no cell is complete")
    models = models_drawn(drawn, paper)
    width = paper.inches("column" if len(models) == 1 else "page")
    title = paper.titled(TITLE, width)
    drawn = [curve for curve in drawn if curve["model"] in models]
    by_curve = {curve.key: curve for curve in curves(summary)}
    thresholds: dict[Key, Any] = {curve.key: curve.rows.iloc[0] for curve in curves(critical)}
    looks, metrics = looks_of(drawn), [NAMES[name] for name in panels or panels_of(frame)]
    with paper.style():
        columns = _columns(drawn, models, by_curve, width)
        groups, best = [column.curves for column in columns], [column.best for column in columns]
        legend = legend_of(groups, thresholds, best, looks, width)
        _add_marks(legend, drawn)
        top = _HEADING + (0.2 if title else 0.0)
        panels_high = sum(PANELS[metric] for metric in metrics) + _GAP * (len(metrics) - 1)
        figure = style.new_figure(width, top + panels_high + _XLABEL + legend.inches, title)
        rhos = sorted({float(rho) for curve in drawn for rho in curve.rows["rho"]})
        for i, column in enumerate(columns):
            axes = _axes(figure, column, top, metrics)
            for place, curve in enumerate(column.curves):
                best_elbo = column.best[curve.data]
                draw_seeds(axes, below_best(curve.complete, best_elbo), looks[curve.key])
                draw_curve(axes, below_best(by_curve[curve.key].rows, best_elbo), looks[curve.key])
                mark_untrained(axes, curve.complete, best_elbo)
                if "kl_top" in axes and not looks[curve.key].behind:
                    draw_critical(axes["kl_top"], thresholds[curve.key], looks[curve.key], place)
            if "kl_top" in axes:
                _scale_kl(axes["kl_top"], column, looks)
            for metric, ax in axes.items():
                set_scale(ax, metric, column.curves)
            named = [thresholds[curve.key] for curve in column.curves if not looks[curve.key].behind]
            said = [value for row in named for value in _grid_values(row, rhos)]
            scale = "auto" if axis == "rho" else "linear"
            stretched = set_rho_axis(list(axes.values()), rhos, column.inches, scale, said)
            axes[metrics[-1]].set_xlabel(C_LABEL if axis == "c" else rho_label(column.inches, stretched), labelpad=2)
            if i == 0:
                _label_panels(axes, column, {curve.top_width for curve in drawn})
        legend.draw(figure)
    return figure


def models_drawn(drawn: Sequence[Curve], paper: Paper = DEFAULT) -> list[str]:
    """Models that have a column in the figure: the first four, or two in a column of a paper."""
    models = list(dict.fromkeys(curve["model"] for curve in drawn))
    return models[: MAX_MODELS // 2 if paper.width == "column" else MAX_MODELS]


def _columns(drawn: Sequence[Curve], models: Sequence[str], summary: Mapping[Key, Curve], width: float) -> list[Column]:
    inner = _INNER if width > style.COLUMN_INCHES else 0.26
    inches = (width - _LEFT - inner * (len(models) - 1) - _RIGHT) / len(models)
    groups = [[curve for curve in drawn if curve["model"] == model] for model in models]
    return [
        Column(group, _LEFT + i * (inches + inner), inches, best_of_each(summary[curve.key] for curve in group))
        for i, group in enumerate(groups)
    ]


def _grid_values(row: Any, rhos: Sequence[float]) -> list[float]:
    """Return the values of the grid that a legend's reader looks for: a bracket's ends, or the one next to a value."""
    if critical_extent(row) is None:
        return []
    for names in (("grid_low", "grid_high"), ("rho_critical",), ("rho_crossing",)):
        if all(row[name] == row[name] for name in names):
            return [min(rhos, key=lambda rho: abs(rho - row[name])) for name in names]
    return []


def _add_marks(legend: Legend, drawn: Sequence[Curve]) -> None:
    """Say in the legend what the marks of cells without results, and of untrained ones, mean."""
    states = {state for curve in drawn for state in curve.rows["state"]} - {"complete"}
    for marker in dict.fromkeys(marker for state, marker in MISSING.items() if state in states):
        named = sorted(state for state in states if MISSING[state] == marker)
        words = f"{' or '.join(named)} cell" if marker != MISSING["untrained"] else UNTRAINED
        legend.add(Line2D([], [], color="0.3", linestyle="", marker=marker, markeredgewidth=0.8), words)
    if any(below_baseline(curve.complete).any() for curve in drawn) and UNTRAINED not in legend.labels:
        legend.add(Line2D([], [], **{**CROSS, "markersize": 4}), UNTRAINED)


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
