"""The spectrum figure: energy by Hermite degree of the generator's mu and sigma, one row per layer, one line per cell.

A point is the part of a function's variance around the posterior that its Hermite components of one degree carry; a
linear function has all at degree 1. Parts below FLOOR are not resolved and not drawn; the last degree stands for itself
and all above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

from analysis.axes import style
from analysis.axes.paper import DEFAULT, Paper

TITLE = "The generator around the posterior, by Hermite degree"
FLOOR = 0.001
PARTS = {"mu": "μ of p(z | z above)", "sigma": "σ of p(z | z above)"}

_LEFT, _RIGHT, _INNER, _ROW, _GAP, _XLABEL, _LINE = 0.62, 0.08, 0.22, 0.8, 0.10, 0.40, 0.13  # inches


def draw_spectrum(table: pd.DataFrame, labels: Sequence[str], heading: str = "", *, paper: Paper = DEFAULT) -> Figure:
    """Draw a tidy table (cell, layer, part, degree, fraction); labels say what a cell is, the heading what all share.

    Raises ValueError without a row.
    """
    if table.empty:
        raise ValueError("nothing to draw: no cell has a spectrum")
    layers = sorted({int(layer) for layer in table["layer"]}, reverse=True)
    cells, degrees = list(dict.fromkeys(table["cell_id"])), sorted({int(degree) for degree in table["degree"]})
    width = paper.inches("column")
    title = paper.titled(TITLE, width)
    inches = (width - _LEFT - _RIGHT - _INNER) / 2
    lines = sum(text.count("\n") + 1 for text in (*labels, *([heading] if heading else [])))
    with paper.style():
        head = 0.42 if title else 0.22
        height = head + len(layers) * (_ROW + _GAP) - _GAP + _XLABEL + _LINE * lines + 0.08
        figure = style.new_figure(width, height, title)
        for row, layer in enumerate(layers):
            for column, (part, name) in enumerate(PARTS.items()):
                top = head + row * (_ROW + _GAP)
                left = _LEFT + column * (inches + _INNER)
                box = (left / width, 1 - (top + _ROW) / height, inches / width, _ROW / height)
                ax = figure.add_axes(box, label=f"{part} {layer}")
                shown = table[(table["layer"] == layer) & (table["part"] == part)]
                for i, cell in enumerate(cells):
                    rows = shown[(shown["cell_id"] == cell) & (shown["fraction"] >= FLOOR)].sort_values("degree")
                    look: dict[str, Any] = {"color": style.colour(i), "marker": style.MARKERS[i % len(style.MARKERS)]}
                    (line,) = ax.plot(rows["degree"], rows["fraction"], linewidth=0.9, markeredgecolor="white", **look)
                    line.set(gid="fraction", clip_on=False)
                ax.set_yscale("log")
                ax.set_ylim(FLOOR, 1.3)
                ax.tick_params(which="minor", left=False)
                ax.yaxis.set_major_locator(FixedLocator([FLOOR, 0.01, 0.1, 1]))
                ax.yaxis.set_major_formatter(FixedFormatter(["0.001", "0.01", "0.1", "1"]))
                ax.yaxis.set_minor_formatter(NullFormatter())
                ax.set_xlim(degrees[0] - 0.3, degrees[-1] + 0.3)
                ax.xaxis.set_major_locator(FixedLocator(degrees))
                ax.xaxis.set_major_formatter(FixedFormatter([*map(str, degrees[:-1]), f"{degrees[-1]}+"]))
                ax.tick_params(labelleft=column == 0, labelbottom=row == len(layers) - 1)
                if column == 0:
                    ax.set_ylabel(f"layer {layer}\nfraction", linespacing=1.1, labelpad=2)
                if row == 0:
                    ax.set_title(name, pad=4, fontsize=style.SMALL_POINTS)
                if row == len(layers) - 1:
                    ax.set_xlabel("Hermite degree", labelpad=2)
        handles = [
            Line2D([], [], color=style.colour(i), marker=style.MARKERS[i % len(style.MARKERS)], markeredgecolor="white")
            for i in range(len(cells))
        ]
        near: dict[str, Any] = {"borderpad": 0.0, "borderaxespad": 0.0, "handletextpad": 0.6, "labelspacing": 0.2}
        where = (0.1 / width, 0.06 / height)
        near |= {"title": heading, "alignment": "left"}
        figure.legend(handles, labels, loc="lower left", bbox_to_anchor=where, frameon=False, **near)
    return figure
