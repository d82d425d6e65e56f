"""The legend of the phase-transition figure: one for all models.

It says what all curves share, what each has of its own, and its critical rho with the uncertainty. With several models
a curve's look and words stand once, and in a column under each model what that model's curve has: its critical rho, and
what else differs from model to model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.axes import style
from analysis.axes.legend import broken, critical_in_words, crossovers_in_words, level, wrapped
from analysis.frames.bits import bits_per_nat
from analysis.frames.curves import DEFAULTS, Curve
from analysis.phase.transition_curves import Look
from analysis.words.curves import annealing_in_words, curves_in_words
from analysis.words.settings import settings

Key: TypeAlias = tuple[Any, ...]

EDGE, LINE, HANDLE = 0.06, 0.13, 0.42  # inches: around all, a line of text, the line and marker before a label
_NEAR: dict[str, Any] = {
    **{"frameon": False, "borderpad": 0, "borderaxespad": 0, "labelspacing": 0.2, "alignment": "left"},
    "handleheight": 1.0,
    "loc": "upper left",
}


@dataclass
class Legend:
    """Handles with their labels, under a heading; of several models a title and a text to each label.

    The texts of a row have equally many lines, so that rows stand level.
    """

    heading: str
    labels: list[str]
    handles: list[Line2D] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    columns: list[list[str]] = field(default_factory=list)
    first: float = 0.0  # inches of the labels, before the columns

    @property
    def inches(self) -> float:
        """Its height."""
        lines = sum([_lines(self.heading), len(self.titles[:1]), *map(_lines, self.labels)])
        return LINE * lines + EDGE

    def add(self, handle: Line2D, label: str) -> None:
        """Add a mark that stands for no curve."""
        self.handles.append(handle)
        self.labels.append(label)

    def draw(self, figure: Figure) -> None:
        """Draw it at the foot of a figure."""
        width, height = figure.get_size_inches()
        place = (EDGE / width, self.inches / height)
        near: dict[str, Any] = {**_NEAR, "handlelength": 2.2, "handletextpad": 0.6}
        if not self.columns:
            alone = figure.legend(self.handles, self.labels, title=self.heading, bbox_to_anchor=place, **near)
            level(alone).set_gid("legend")
            return
        figure.text(*place, self.heading, va="top", fontsize=style.SMALL_POINTS, gid="heading")
        top = (self.inches - LINE * _lines(self.heading)) / height
        rows = figure.legend(self.handles, self.labels, title=" ", bbox_to_anchor=(place[0], top), **near)
        level(rows).set_gid("legend")
        across = (width - 2 * EDGE - self.first) / len(self.columns)
        near |= {"handlelength": 0, "handletextpad": 0}
        for i, (title, texts) in enumerate(zip(self.titles, self.columns, strict=True)):
            left = (EDGE + self.first + i * across) / width
            nothing = [Line2D([], [], linestyle="") for _ in texts]
            column = figure.legend(nothing, texts, title=title, bbox_to_anchor=(left, top), **near)
            level(column).set_gid("column")


def legend_of(
    groups: Sequence[Sequence[Curve]],
    critical: Mapping[Key, Mapping[str, Any]],
    best: Sequence[Mapping[Key, float]],
    looks: Mapping[Key, Look],
    inches: float,
) -> Legend:
    """Make the legend of one group of curves per model, in a figure of that many inches.

    `critical` holds the row of `critical_table` by curve key, `best` for each model the ELBO in nats, by data, that its
    ELBO axis starts from.
    """
    if len(groups) == 1:
        legend = Legend(*panel_legend(groups[0], critical, best[0], inches - 2 * EDGE, HANDLE))
        legend.handles = [Line2D([], [], **looks[curve.key].drawn) for curve in groups[0]]
        return legend
    every = [curve for group in groups for curve in group]
    shared, own = curves_in_words(every)
    data = {curve.data for curve in every}
    pairs = list(dict.fromkeys(_pair(curve) for curve in every))
    if len(data) == 1 and len(pairs) > 1:
        shared, own = [*own[0][:2], *shared], [words[2:] for words in own]
    defaults = _repeated_defaults(every, own)
    unless = [f"unless noted: {defaults[0]}", *defaults[1:]] if defaults else []
    words_of = {curve.key: _without(words, defaults) for curve, words in zip(every, own, strict=True)}
    first = 0.36 * inches if len(groups) < 4 else 0.28 * inches
    across = (inches - 2 * EDGE - first) / len(groups) - 0.06
    labels, columns = [], [list[str]() for _ in groups]
    named = [set[Key]() for _ in groups]  # data whose best ELBO is said
    for pair in pairs:
        members = [next((curve for curve in group if _pair(curve) == pair), None) for group in groups]
        there = [words_of[curve.key] for curve in members if curve is not None]
        common = [word for word in there[0] if all(word in words for words in there)]
        label = wrapped(list(map(style.plain, common)), first - HANDLE - 0.06)
        texts = []
        for curve, start, told in zip(members, best, named, strict=True):
            rest = [] if curve is None else [word for word in words_of[curve.key] if word not in common]
            ends = ["–"] if curve is None else [*annealing_in_words([curve]), critical_in_words(critical[curve.key])]
            if curve is not None and curve.data not in told:
                told.add(curve.data)
                ends += _best_in_words([curve], {curve.data: start[curve.data]})
            texts.append(broken(", ".join([*map(style.plain, rest), *ends]), across))
        lines = max(map(_lines, (label, *texts)))
        labels.append(_padded(label, lines))
        for column, text in zip(columns, texts, strict=True):
            column.append(_padded(text, lines))
    shared += crossovers_in_words(critical[curve.key] for curve in every)
    heading = "\n".join(
        filter(None, [wrapped(list(map(style.plain, shared)), inches - 2 * EDGE), wrapped(unless, inches - 2 * EDGE)])
    )
    handles = [
        Line2D([], [], **next(looks[curve.key] for curve in every if _pair(curve) == pair).drawn) for pair in pairs
    ]
    return Legend(heading, labels, handles, [style.plain(group[0]["model"]) for group in groups], columns, first)


def _pair(curve: Curve) -> Key:
    """Return what one look stands for: data and settings, whatever the model."""
    return (curve.data, curve.variant)


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _padded(text: str, lines: int) -> str:
    """Fill up to so many lines."""
    return text + "\n " * (lines - _lines(text))


def panel_legend(
    group: Sequence[Curve],
    critical: Mapping[Key, Mapping[str, Any]],
    best: Mapping[Key, float],
    inches: float,
    handle: float,
) -> tuple[str, list[str]]:
    """Return the title (what all curves share) and one label per curve, to be drawn `handle` inches from the left.

    `critical` holds the row of `critical_table` by curve key, `best` the ELBO in nats, by data, that the ELBO axis
    starts from; text is wrapped to that many inches.
    """
    shared, own = curves_in_words(group)
    ends = [critical_in_words(critical[curve.key]) for curve in group]
    title_ends = [*_best_in_words(group, best), *crossovers_in_words(critical[curve.key] for curve in group)]
    if len(group) > 1:
        if len(best) == 1:  # one data set: its name and content go into the title
            shared, own = [*own[0][:2], *shared], [words[2:] for words in own]
        if len(set(ends)) == 1 and ends[0].startswith("no "):
            title_ends, ends = [*title_ends, ends[0]], [""] * len(group)
    defaults = _repeated_defaults(group, own)
    unless = [f"unless noted: {defaults[0]}", *defaults[1:]] if defaults else []
    title = [wrapped([*map(style.plain, shared), *title_ends], inches), wrapped(unless, inches)]
    labels = []
    for curve, words, end in zip(group, own, ends, strict=True):
        texts = [*_without(words, defaults), *annealing_in_words([curve])]
        labels.append(wrapped([*map(style.plain, texts), *filter(None, end.split(", "))], inches - handle))
    return "\n".join(filter(None, title)), labels


def _without(words: Sequence[str], defaults: Sequence[str]) -> list[str]:
    """Leave out the defaults that the title names; a curve that has all of them says so."""
    others = [word for word in words if word not in defaults]
    has_all = bool(defaults) and len(words) - len(others) == len(defaults)
    return [*(["all as noted above"] if has_all else []), *others]


def _best_in_words(group: Sequence[Curve], best: Mapping[Key, float]) -> list[str]:
    """Say from where the ELBO axis starts, for each data set where there are several."""
    first_curves = {curve.data: curve for curve in group}
    names = [curve["dataset"] for curve in first_curves.values()]
    texts = []
    for data, curve in first_curves.items():
        name = curve["dataset"] if names.count(curve["dataset"]) == 1 else curve.name
        whose = f" ({style.plain(name, 30)})" if len(first_curves) > 1 else ""
        bits = bits_per_nat(curve.complete) * best[data]
        as_bits = "" if math.isnan(bits) else f" = {bits:.3f} bits/dim"
        texts.append(f"{best[data]:.2f}".replace("-", "−") + as_bits + whose)
    several = any(curve.complete.groupby("rho")["seed"].nunique().max() > 1 for curve in group)
    return [f"best {'median ' if several else ''}test ELBO {texts[0]}", *texts[1:]]


def _repeated_defaults(group: Sequence[Curve], own: Sequence[Sequence[str]]) -> list[str]:
    """Return the defaults, in words, that would be repeated from label to label; none if it is only one."""
    words = {name: settings(curve)[name] for name, value in DEFAULTS.items() for curve in group if curve[name] == value}
    repeated = [text for text in words.values() if any(text in label for label in own)]
    return repeated if len(repeated) > 1 else []
