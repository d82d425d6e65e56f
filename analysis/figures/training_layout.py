"""What the training figure shows: its rows, the look of each configuration, and what is said beside the panels.

Few configurations are told apart by colour, dash and marker: two with the same dash have other markers, and, of the
first eight, colours that colour-blind readers can tell apart. Many rho values are colours of a scale, with a colour
bar; dashes then stand for whatever else differs, and bands are left to the csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from analysis.axes import style
from analysis.axes.paper import DEFAULT, Paper
from analysis.axes.rho_axis import stretch
from analysis.frames.configurations import Configuration
from analysis.summaries.trajectories import Trajectory
from analysis.words.curves import annealing_in_words
from analysis.words.methods import shared_in_words, words_of
from sweeps.grid.declared import binarised

MAX_ROWS = 4
MAX_COLOURS = 8  # configurations told apart by colour; beyond, colours are a scale of rho if there are more than
MAX_RHOS = 5  # values of it
ENDS = {"pending": "o", "failed": "s", "diverged": "X"}  # markers
GREY = (0.3, 0.3, 0.3)
MAX_LOOKS = 20  # pairs of a dash and a marker
# Of the palette, and black: the i-th and the (i + 4)-th have the same dash, and must be far apart for every eye.
COLOURS = (*map(style.colour, (0, 1, 2, 3)), (0.0, 0.0, 0.0), *map(style.colour, (9, 4, 7)))
MARKERS = ("^", "D", "P", "<", ">")  # none of ENDS, nor the mark of a curve that comes from below

Key: TypeAlias = tuple[Any, ...]
Colour: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """How one configuration is drawn."""

    colour: Colour
    line: style.Line
    marker: str = ""

    @classmethod
    def own(cls, i: int) -> Look:
        """Return the i-th look: none has the dash and the marker of another; the first four have no marker."""
        dashes = len(style.LINES)
        marker = "" if i < dashes else MARKERS[(i - dashes) % len(MARKERS)]
        return cls(COLOURS[i % len(COLOURS)], style.LINES[i % dashes], marker)


@dataclass(frozen=True)
class Looks:
    """The look of each configuration, by its `variant`; those beyond what can be told apart have none.

    rhos: the values of the colour bar, ascending; none where colours stand for configurations.
    """

    by_variant: dict[Key, Look]
    rhos: tuple[float, ...] = ()

    @classmethod
    def of(cls, drawn: Sequence[Configuration]) -> Looks:
        """Choose between colours of their own and a scale of rho."""
        variants = list(dict.fromkeys(each.variant for each in drawn))
        rhos = sorted({each.rho for each in drawn})
        if len(variants) <= MAX_COLOURS or len(rhos) <= MAX_RHOS:
            return cls({variant: Look.own(i) for i, variant in enumerate(variants[:MAX_LOOKS])})
        lines = style.LINES
        others = list(dict.fromkeys(each.curve.variant for each in drawn))[: len(lines)]
        colours = dict(zip(rhos, map(style.sequential, shares(rhos, rhos)), strict=True))
        dashed = [each for each in drawn if each.curve.variant in others]
        return cls(
            {each.variant: Look(colours[each.rho], lines[others.index(each.curve.variant)]) for each in dashed},
            tuple(rhos),
        )


def shares(rhos: Sequence[float], grid: Sequence[float]) -> list[float]:
    """Place of rho values, in [0, 1], on the colour scale of an ascending grid: that of the stretched rho axis."""
    place, low, high = stretch(np.array(rhos)), stretch(grid[0]), stretch(grid[-1])
    return [float(share) for share in (place - low) / (high - low)]


@dataclass
class Row:
    """One data set and model. entries: the words of each line in the legend, and its look; ends: states marked."""

    drawn: list[Trajectory]
    heading: list[str]
    entries: list[tuple[list[str], Look]]
    ends: list[str]


def most_rows(paper: Paper) -> int:
    """Return how many rows a figure has room for: half as many in a column, where panels are stacked."""
    return MAX_ROWS // 2 if paper.width == "column" else MAX_ROWS


def rows(found: Sequence[Trajectory], paper: Paper = DEFAULT) -> tuple[list[Row], Looks]:
    """Return the rows that the figure has room for, and the looks; the rest is left out (see `left_out`)."""
    groups = list(dict.fromkeys(each.configuration.group for each in found))[: most_rows(paper)]
    kept = [each for each in found if each.configuration.group in groups]
    looks = Looks.of([each.configuration for each in kept])
    kept = [each for each in kept if each.configuration.variant in looks.by_variant]
    parts = [[each for each in kept if each.configuration.group == group] for group in groups]
    return [_row(part, looks) for part in parts if part], looks


def left_out(found: Sequence[Trajectory], paper: Paper = DEFAULT) -> list[str]:
    """One line for data and models beyond the last row, one for configurations that have no look."""
    shown = [each for row in rows(found, paper)[0] for each in row.drawn]
    groups = {each.configuration.group for each in shown}
    beyond = dict.fromkeys(each.configuration.title for each in found if each.configuration.group not in groups)
    looks = {each.configuration.variant for each in shown}
    there = [each.configuration for each in found if each.configuration.group in groups]
    unseen = {each.key for each in there if each.variant not in looks}
    notes = []
    if beyond:
        names = "; ".join(beyond)
        notes.append(
            f"this figure shows {len(groups)} pairs of data and model; left out: {names} "
            "(choose with --datasets, --models)"
        )
    if unseen:
        notes.append(f"{len(unseen)} more configurations than a figure can tell apart are left out (choose with --rho)")
    return notes


def _row(drawn: list[Trajectory], looks: Looks) -> Row:
    by_key: dict[Key, list[Trajectory]] = {}
    for each in drawn:
        by_key.setdefault(each.configuration.key, []).append(each)
    group = [parts[0].configuration for parts in by_key.values()]
    counts = [sum(len(part.seeds) for part in parts) for parts in by_key.values()]
    one, low, high = group[0], min(counts), max(counts)
    seeds = _seeds(high) if low == high else f"{low}–{high} seeds"
    several = " (median, range)" if not looks.rhos else " (median)"
    heading = [style.plain(one.curve.name), one.curve.content, binarised(one["binarise"]), one["model"]]
    heading += [*shared_in_words(group), seeds + (several if high > 1 else "")]
    if looks.rhos:
        entries = _entries_by_dash(group, looks)
    else:
        seeds_of = [[_seeds(count)] if low < high else [] for count in counts]
        entries = [
            ([*words, *caveats([each]), *seeds], looks.by_variant[each.variant])
            for each, words, seeds in zip(group, words_of(group), seeds_of, strict=True)
        ]
    return Row(drawn, heading, entries, [state for state in ENDS if any(each.state == state for each in drawn)])


def _entries_by_dash(group: Sequence[Configuration], looks: Looks) -> list[tuple[list[str], Look]]:
    """One entry for all rho values of a dash, named by a smoothed one; none where it would say nothing."""
    by_dash: dict[Key, list[int]] = {}
    for i, each in enumerate(group):
        by_dash.setdefault(each.curve.variant, []).append(i)
    said = words_of(group, rho=False)
    entries = []
    for members in by_dash.values():
        named = max(members, key=lambda i: group[i].smoothed)
        words = [*said[named], *caveats([group[i] for i in members])]
        entries.append((words, Look(GREY, looks.by_variant[group[named].variant].line)))
    return entries if len(entries) > 1 or caveats(group) else []


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"


def caveats(group: Sequence[Configuration]) -> list[str]:
    """Say what a reader of a line must know: annealing that did not finish, devices that are mixed."""
    mixed = any(len(each.curve.devices) > 1 for each in group)
    return [*annealing_in_words([each.curve for each in group]), *(["mixed devices"] if mixed else [])]
