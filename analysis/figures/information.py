"""The information figure: of each layer's KL over rho, what is about the image and what is noise.

One column per curve, one row per layer, the top layer first. The line is KL_i + .. + KL_L, the most that layer i can
know about the image (at the top, its KL). Below it, from the bottom: what the layer knows about the image (the lower
estimate of I(x; z_i)), what is undecided (up to the upper estimate), and what is noise. Medians over seeds. A
dotted line is log N, above which no lower estimate from N examples can come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.axes import style
from analysis.axes.legend import broken, wrapped
from analysis.axes.paper import DEFAULT, Paper
from analysis.axes.rho_axis import rho_label, set_rho_axis
from analysis.frames.curves import Curve
from analysis.summaries.information import NEAR_CEILING, rows_of
from analysis.words.curves import curves_in_words

MAX_CURVES = 4
TITLE = "What each layer knows about the image"
KNOWN, OPEN, NOISE = style.colour(0), (*style.colour(0), 0.35), (0.86, 0.86, 0.86)

_LEFT, _RIGHT, _INNER, _ROW, _GAP, _XLABEL, _LINE = 0.62, 0.08, 0.36, 0.85, 0.10, 0.40, 0.13  # inches


def draw_information(table: pd.DataFrame, group: Sequence[Curve], *, paper: Paper = DEFAULT) -> Figure:
    """Draw the rows of `information_table`: of one curve in a column, of up to MAX_CURVES on a page.

    A column holds two curves where it is asked to.

    Raises ValueError without a row.
    """
    if table.empty:
        raise ValueError("nothing to draw: no cell has information")
    width, shown = paper.inches("column" if len(group) == 1 else "page"), curves_drawn(group, paper)
    title = paper.titled(TITLE, width)
    depth = max(curve.model.depth for curve in shown)
    inches = (width - _LEFT - _RIGHT - _INNER * (len(shown) - 1)) / len(shown)
    with paper.style():
        shared, own = curves_in_words(shown)
        heads = [
            broken(", ".join([style.plain(word) for word in (curve["model"], *words)]), inches)
            for curve, words in zip(shown, own, strict=True)
        ]
        foot = wrapped([*map(style.plain, shared), *_made_from(table)], width - 0.2)
        head = (0.26 if title else 0.06) + _LINE * (max(text.count("\n") for text in heads) + 1) + 0.06
        below = (
            _XLABEL + (1 if width > style.COLUMN_INCHES else 2) * 1.3 * _LINE + _LINE * (foot.count("\n") + 1) + 0.10
        )
        height = head + depth * (_ROW + _GAP) - _GAP + below
        figure = style.new_figure(width, height, title)
        rhos = sorted(float(rho) for rho in table["rho"].unique())
        for i, (curve, name) in enumerate(zip(shown, heads, strict=True)):
            left = _LEFT + i * (inches + _INNER)
            rows = rows_of(table, curve)
            axes = []
            named = max((other.model.depth for other in shown[:i]), default=0)  # layers that stand further left
            for layer in range(curve.model.depth, 0, -1):
                top = head + (depth - layer) * (_ROW + _GAP)
                box = (left / width, 1 - (top + _ROW) / height, inches / width, _ROW / height)
                ax = figure.add_axes(box, label=f"{i} layer {layer}")
                draw_layer(ax, rows[rows["layer"] == layer])
                ax.tick_params(axis="x", which="both", labelbottom=layer == 1)
                if layer > named:
                    ax.set_ylabel(f"layer {layer}\n(nats)", linespacing=1.1)
                axes.append(ax)
            axes[0].set_title(name, pad=4, fontsize=style.SMALL_POINTS)
            stretched = set_rho_axis(axes, rhos, inches)
            axes[-1].set_xlabel(rho_label(inches, stretched), labelpad=2)
        _legend(figure, foot, width, height)
    return figure


def curves_drawn(group: Sequence[Curve], paper: Paper = DEFAULT) -> list[Curve]:
    """Curves that the figure has room for: four, or two in a column of a paper; those of one model before the next."""
    models = list(dict.fromkeys(curve["model"] for curve in group))
    by_model = sorted(group, key=lambda curve: models.index(curve["model"]))
    return by_model[: MAX_CURVES // 2 if paper.width == "column" else MAX_CURVES]


def draw_layer(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw one layer: the KL, and beneath it the three regions."""
    rho = rows["rho"].to_numpy()
    kl, low, high = (rows[f"{name}_median"].to_numpy() for name in ("kl_from_here", "info", "info_high"))
    low = np.clip(low, 0, None)
    high = np.clip(high, low, np.maximum(kl, low))
    for bottom, top, colour, gid in (
        (high, np.maximum(kl, high), NOISE, "noise"),
        (low, high, OPEN, "open"),
        (0 * low, low, KNOWN, "known"),
    ):
        ax.fill_between(rho, bottom, top, facecolor=colour, linewidth=0).set_gid(gid)
    (line,) = ax.plot(rho, kl, color="0.1", marker="o", markeredgecolor="white", linewidth=1.0)
    line.set(gid="kl", clip_on=False)
    ceiling = math.log(rows["examples"].min())
    if low.max() > ceiling - NEAR_CEILING:
        ax.axhline(ceiling, color="0.3", linestyle=":", linewidth=0.9).set_gid("ceiling")
    most = max(float(kl.max()), float(low.max()), 0.1)
    ax.set_ylim(min(0.0, float(kl.min())) - 0.03 * most, 1.05 * most)
    ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def _made_from(table: pd.DataFrame) -> list[str]:
    """Say what the estimates were made from, and the ceiling that this is."""
    examples, paths = (sorted({int(value) for value in table[name]}) for name in ("examples", "paths"))
    numbers = " or ".join(f"{n:,}" for n in examples)
    ceiling = f"dotted: log N = {math.log(examples[0]):.1f} nats, the most that can be seen to be known"
    noise = f"S paths show about log S = {math.log(paths[0]):.1f} nats of noise at the top"
    return [f"from N = {numbers} images x S = {' or '.join(map(str, paths))} paths", ceiling, noise]


def _legend(figure: Figure, foot: str, width: float, height: float) -> None:
    handles = [
        Line2D([], [], color="0.1", marker="o", markeredgecolor="white", linewidth=1.0),
        Patch(facecolor=KNOWN),
        Patch(facecolor=OPEN),
        Patch(facecolor=NOISE),
    ]
    labels = ["KL of layers i to L", "about the image, at least", "undecided", "noise, at least"]
    below = 0.06 + _LINE * (foot.count("\n") + 1)
    where = (0.1 / width, (below + 0.04) / height)
    near = {"borderpad": 0.0, "borderaxespad": 0.0, "handletextpad": 0.6, "labelspacing": 0.2, "columnspacing": 1.2}
    columns = 2 if width < style.PAGE_INCHES else 4
    figure.legend(handles, labels, loc="lower left", bbox_to_anchor=where, ncols=columns, frameon=False, **near)
    figure.text(0.1 / width, 0.06 / height, foot, va="bottom", fontsize=style.SMALL_POINTS, gid="words")
