"""Where things stand in the training figure, in inches from its left and its top.

On a page the panels of a row stand beside each other, with the legend at their right; in a column they stand below each
other, with the legend beneath.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from analysis.axes import style

Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height

HANDLE, LABEL, BAR, LINE = 0.36, 0.55, 0.46, 0.125  # of a legend; of a panel's name; the scale of rho; a line of text
MOST = 2.0  # width of a legend on a page
EDGE = 0.06
_LEFT, _INNER, _GAP, _RIGHT, _HEIGHT, _LOW, _BETWEEN, _XLABEL = 0.64, 0.66, 0.14, 0.04, 1.5, 1.15, 0.26, 0.38
_BITS, _DIGITS = 0.5, 0.14  # more room where there is a scale of bits per dimension, and a large ELBO
_LETTER = 0.54 * style.SMALL_POINTS / 72


@dataclass(frozen=True)
class Place:
    """Where one row of the figure stands: its heading, its panels, how far left of them their names, its legend."""

    heading: float
    elbo: Box
    kl_top: Box
    names: tuple[float, float]
    legend: tuple[float, float]

    @property
    def stacked(self) -> bool:
        """Whether its panels stand below each other."""
        return self.elbo[0] == self.kl_top[0]


@dataclass(frozen=True)
class Room:
    """What the rows need room for: lines of their headings, lines of their legends, the longest of these in letters.

    bar: the row whose legend begins with the scale of rho, None where there is no scale.
    """

    headings: Sequence[int]
    legends: Sequence[int]
    letters: int
    bits: bool
    bar: int | None

    def scale(self, row: int) -> float:
        """Height of the scale of rho in a row's legend."""
        return BAR if row == self.bar else 0.0


def legend_inches(width: float) -> float:
    """Return the most that a legend may be wide in a figure of that width."""
    return width - 2 * EDGE if width == style.COLUMN_INCHES else MOST


def places(room: Room, width: float, top: float) -> tuple[list[Place], float]:
    """Return where each row stands in a figure of that width, from `top` on, and the height of the figure."""
    return _in_column(room, width, top) if width == style.COLUMN_INCHES else _on_page(room, width, top)


def _on_page(room: Room, width: float, top: float) -> tuple[list[Place], float]:
    legend = MOST if room.bar is not None else HANDLE + _LETTER * room.letters
    left, inner = _LEFT + (_DIGITS if room.bits else 0.0), _INNER + (_BITS if room.bits else 0.0)
    panel = (width - left - inner - _GAP - legend - _RIGHT) / 2
    found = []
    for row, (heading, lines) in enumerate(zip(room.headings, room.legends, strict=True)):
        height = max(_HEIGHT, room.scale(row) + LINE * lines)
        first = top + LINE * heading + 0.06
        boxes = (left, first, panel, height), (left + panel + inner, first, panel, height)
        found.append(Place(top, *boxes, (left - 0.03, LABEL), (width - legend - _RIGHT, first)))
        top = first + height + _BETWEEN
    return found, top - _BETWEEN + _XLABEL


def _in_column(room: Room, width: float, top: float) -> tuple[list[Place], float]:
    left = _LEFT + (_DIGITS if room.bits else 0.0)
    panel = width - left - 0.16 - (_BITS if room.bits else 0.0)
    found = []
    for row, (heading, lines) in enumerate(zip(room.headings, room.legends, strict=True)):
        first = top + LINE * heading + 0.06
        second = first + _LOW + _GAP
        legend = second + _LOW + _XLABEL
        boxes = (left, first, panel, _LOW), (left, second, panel, _LOW)
        found.append(Place(top, *boxes, (left - 0.03, left - 0.03), (EDGE, legend)))
        top = legend + room.scale(row) + LINE * lines + 0.5 * _BETWEEN
    return found, top - 0.5 * _BETWEEN + EDGE
