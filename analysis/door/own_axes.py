"""Axes of a user's own, or new ones of a column's width, and a legend above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from analysis.axes import style


def axes_of(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure, which pyplot does not know."""
    if ax is not None:
        return ax
    figure = style.new_figure(style.COLUMN_INCHES, 2.4)
    figure.set_layout_engine("constrained")
    return figure.subplots()


def inches_of(ax: Axes) -> float:
    """Return how wide axes are."""
    return ax.get_window_extent().width / ax.get_figure(root=True).dpi  # type: ignore[union-attr]


def legend_above(ax: Axes, handles: Sequence[Artist] | None = None, title: str | None = None) -> None:
    """Name what is drawn, or these handles, above the axes, where no curve is."""
    drawn = ax.get_legend_handles_labels()[0] if handles is None else list(handles)
    where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.02), "borderaxespad": 0}
    legend = ax.legend(handles=drawn, title=title, frameon=False, alignment="left", **where)
    legend.set_gid("legend")
