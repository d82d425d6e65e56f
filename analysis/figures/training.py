"""The training figure: validation ELBO and top KL of the unsmoothed models over optimiser steps, as in Figure 2.

One row of panels per data set and model. A line is the median over seeds, its band runs from the smallest to the
largest of them. Seeds that did not get as far as the others are thin lines of their own; an open marker ends every
curve whose cells are not complete. The first fifth of a curve and diverging curves may leave the panels: a filled
triangle on the lower edge of the ELBO panel is where a curve comes from below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.axes import style
from analysis.axes.legend import level, wrapped
from analysis.axes.paper import DEFAULT, Paper
from analysis.axes.rho_axis import set_rho_axis
from analysis.figures.training_layout import ENDS, GREY, Look, Row, rows, shares
from analysis.figures.training_places import EDGE, HANDLE, MOST, Place, Room, legend_inches, places
from analysis.frames.bits import bits_per_nat
from analysis.frames.histories import METRICS
from analysis.summaries.trajectories import Trajectory

TITLE = "Validation ELBO and top-layer KL over training"
LABELS = {"elbo": "validation ELBO\n(nats per image)", "kl_top": "top-layer KL\n(nats per image)"}
FIRST = 0.2  # of a curve's steps may leave the ELBO panel at its lower edge


def draw_training(found: Sequence[Trajectory], *, paper: Paper = DEFAULT) -> Figure:
    """Draw trajectories, a page wide unless asked otherwise (see `training_layout` for what there is room for).

    Raises ValueError if there are none.
    """
    if not found:
        raise ValueError("nothing to draw: no cell has a curve")
    width = paper.inches("page")
    title = paper.titled(TITLE, width)
    drawn, looks = rows(found, paper)
    shared = len(drawn) - 1 if width == style.COLUMN_INCHES else 0  # the row whose legend is for all
    headings = [wrapped(row.heading, width - 2 * EDGE) for row in drawn]
    per_nat = [bits_per_nat(pd.concat([each.configuration.rows for each in row.drawn])) for row in drawn]
    most = max(each.configuration["steps"] for row in drawn for each in row.drawn)
    with paper.style():
        legends = _shared([_legend(row, legend_inches(width)) for row in drawn], shared)
        lines = [[line for _, label in legend for line in label.split("\n")] for legend in legends]
        letters = max((len(line) for texts in lines for line in texts), default=0)
        bits = not all(map(math.isnan, per_nat))
        above, bar = [text.count("\n") + 1 for text in headings], shared if looks.rhos else None
        room = Room(above, list(map(len, lines)), letters, bits, bar)
        places_of, height = places(room, width, 0.26 if title else 0.06)
        figure = style.new_figure(width, height, title)
        parts = zip(drawn, headings, places_of, legends, per_nat, strict=True)
        for i, (row, heading, place, legend, each_bit) in enumerate(parts):
            figure.text(EDGE / width, 1 - place.heading / height, heading, va="top", fontsize=style.SMALL_POINTS)
            axes = _panels(figure, place)
            for each in row.drawn:
                _draw_trajectory(axes, each, looks.by_variant[each.configuration.variant], many=bool(looks.rhos))
            _scale_panels(axes, row, thousands=most >= 10_000)
            if not math.isnan(each_bit):
                _add_bits(axes["elbo"], each_bit)
            _mark_ends(axes, row, [looks.by_variant[each.configuration.variant] for each in row.drawn])
            _name_steps(axes, place, last=row is drawn[-1], thousands=most >= 10_000)
            left, top = place.legend
            if i == room.bar:
                _draw_bar(figure, looks.rhos, left, top)
            _draw_legend(figure, legend, left, top + room.scale(i))
    return figure


def _name_steps(axes: dict[str, Axes], place: Place, last: bool, thousands: bool) -> None:
    """Name the axis of steps: under the lowest panel, or under both of the last row where they stand side by side."""
    name = f"optimiser steps{' (thousands)' if thousands else ''}"
    if place.stacked:
        axes["elbo"].tick_params(axis="x", labelbottom=False)
        axes["kl_top"].set_xlabel(name, labelpad=2)
    elif last:
        for ax in axes.values():
            ax.set_xlabel(name, labelpad=2)


def _shared(legends: list[list[tuple[Line2D, str]]], row: int) -> list[list[tuple[Line2D, str]]]:
    """Keep the legend of one row alone where all say the same."""
    same = len({tuple(label for _, label in legend) for legend in legends}) == 1
    return [legend if not same or i == row else [] for i, legend in enumerate(legends)]


def _legend(row: Row, inches: float) -> list[tuple[Line2D, str]]:
    """Return handles and labels of a row: its configurations, then the markers of curves that are not complete."""
    legend = [
        (Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker), wrapped(words, inches - HANDLE))
        for words, look in row.entries
    ]
    if any(not each.main for each in row.drawn):
        legend.append((Line2D([], [], color=GREY, linewidth=0.6), "seeds that are not as far"))
    low, _ = _elbo_limits(row)
    if any(_enters(each, low) is not None for each in row.drawn):
        legend.append((_entrance(math.nan, low, Look(GREY, "-")), "comes from below the axis"))
    return legend + [(_end([], [], state, Look(GREY, "-")), f"{state} cell ends here") for state in row.ends]


def _end(x: list[float], y: list[float], state: str, look: Look) -> Line2D:
    mark = Line2D(x, y, linestyle="", marker=ENDS[state], markersize=3.6, markerfacecolor="white", zorder=5)
    mark.set(gid=state, markeredgecolor=look.colour, markeredgewidth=0.9, clip_on=False)
    return mark


def _entrance(step: float, low: float, look: Look) -> Line2D:
    mark = Line2D([step], [low], linestyle="", marker="v", markersize=4.5, color=look.colour, zorder=4)
    mark.set(gid="enters", clip_on=False, markeredgewidth=0)
    return mark


def _enters(one: Trajectory, low: float) -> float | None:
    """Step at which the median ELBO comes up for good through the lower edge; None if it never does."""
    steps, values = one.table["step"].to_numpy(), one.table["elbo_median"].to_numpy()
    below = np.flatnonzero(values < low)
    if not len(below) or below[-1] == len(values) - 1:
        return None
    i = below[-1]
    return float(np.interp(low, values[i : i + 2], steps[i : i + 2]))


def _panels(figure: Figure, place: Place) -> dict[str, Axes]:
    """Make the panels of a row, by metric."""
    width, height = figure.get_size_inches()
    axes = {}
    for metric, (left, top, across, down), name in zip(METRICS, (place.elbo, place.kl_top), place.names, strict=True):
        box = (left / width, 1 - (top + down) / height, across / width, down / height)
        axes[metric] = ax = figure.add_axes(box, label=metric)
        ax.set_ylabel(LABELS[metric], linespacing=1.1, verticalalignment="top")
        ax.yaxis.set_label_coords(-name / across, 0.5)
    return axes


def _draw_trajectory(axes: dict[str, Axes], one: Trajectory, look: Look, many: bool) -> None:
    """Draw the range and the median over seeds into both panels; thin where other seeds of it got further."""
    table = one.table
    steps = table["step"].to_numpy()
    for metric, ax in axes.items():
        median, low, high = (table[f"{metric}_{name}"].to_numpy() for name in ("median", "low", "high"))
        if not many and len(one.seeds) > 1:
            band = ax.fill_between(steps, low, high, color=look.colour, alpha=0.18, linewidth=0)
            band.set_gid("range")
        (line,) = ax.plot(steps, median, color=look.colour, linestyle=look.line, marker=look.marker, zorder=3)
        line.set_markevery(0.2)  # of the panel's diagonal: a few markers, however many evaluations there are
        line.set(gid="median" if one.main else "short", linewidth=0.6 if not one.main else 0.8 if many else 1.1)


def _counted(row: Row) -> list[Trajectory]:
    """Trajectories that set the scales: those that diverge do not, unless there are no others."""
    return [each for each in row.drawn if each.state != "diverged"] or row.drawn


def _elbo_limits(row: Row) -> tuple[float, float]:
    """Return the ELBO's scale, in nats: what it is after the first steps."""
    counted = _counted(row)
    late = pd.concat([each.table[each.table["step"] >= FIRST * each.configuration["steps"]] for each in counted])
    late = pd.concat([each.table.tail(1) for each in counted]) if late.empty else late
    least, highest = float(late["elbo_low"].min()), float(late["elbo_high"].max())
    pad = 0.04 * max(highest - least, 1.0)
    return least - pad, highest + pad


def _scale_panels(axes: dict[str, Axes], row: Row, thousands: bool) -> None:
    """Set the scales: steps from 0 to all of them, KL from 0, ELBO from what it is after the first steps."""
    steps = max(each.configuration["steps"] for each in row.drawn)
    axes["elbo"].set_ylim(_elbo_limits(row))
    kl = max(0.1, *(float(each.table["kl_top_high"].max()) for each in _counted(row)))
    axes["kl_top"].set_ylim(-0.03 * kl, 1.05 * kl)
    for ax in axes.values():
        ax.set_xlim(0, steps)
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        if thousands:
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _add_bits(ax: Axes, per_nat: float) -> None:
    """Give the ELBO panel a scale of bits per dimension on its right."""
    scale = ax.secondary_yaxis(
        "right", functions=(lambda nats: per_nat * np.asarray(nats), lambda bits: np.asarray(bits) / per_nat)
    )
    scale.set_ylabel("bits/dim", labelpad=2)
    scale.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    scale.set_label("bits")


def _mark_ends(axes: dict[str, Axes], row: Row, looks: Sequence[Look]) -> None:
    """Mark where curves come from below the ELBO panel, and where they end if their cells are not complete.

    The mark of an end beyond a panel is on its edge.
    """
    low = axes["elbo"].get_ylim()[0]
    for each, look in zip(row.drawn, looks, strict=True):
        if (step := _enters(each, low)) is not None:
            axes["elbo"].add_line(_entrance(step, low, look))
        if not each.complete:
            for metric, ax in axes.items():
                value = float(np.clip(each.table[f"{metric}_median"].iloc[-1], *ax.get_ylim()))
                ax.add_line(_end([float(each.last)], [value], each.state, look))


def _draw_bar(figure: Figure, rhos: Sequence[float], left: float, top: float) -> None:
    """Draw the scale of rho: a bar under the rho axis that the phase-transition figure has."""
    width, height = figure.get_size_inches()
    inches = MOST - 0.25
    box = ((left + 0.1) / width, 1 - (top + 0.1) / height, inches / width, 0.1 / height)
    ax = figure.add_axes(box, label="rho")
    set_rho_axis([ax], rhos, inches, "stretched")
    edges = np.linspace(rhos[0], rhos[-1], 1025)
    colours = [style.sequential(share) for share in shares(((edges[1:] + edges[:-1]) / 2).tolist(), rhos)]
    ax.pcolormesh(edges, [0, 1], np.array([colours]), rasterized=True)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel("OU correlation ρ", labelpad=1)


def _draw_legend(figure: Figure, entries: Sequence[tuple[Line2D, str]], left: float, top: float) -> None:
    if not entries:
        return
    width, height = figure.get_size_inches()
    legend = figure.legend(
        [handle for handle, _ in entries],
        [label for _, label in entries],
        loc="upper left",
        bbox_to_anchor=(left / width, 1 - top / height),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.25,
        handlelength=2.2,
        handletextpad=0.6,
        alignment="left",
        handleheight=1.0,
    )
    level(legend).set_gid("legend")
