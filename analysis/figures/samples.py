"""The samples figure: what models draw, one row per model, in three blocks of images.

Samples of the prior; samples in which the top layer alone is drawn anew, which are all alike where it has collapsed;
test images over their reconstructions. A model's label is left of its blocks on a page, above them in a column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import style
from analysis.axes.paper import DEFAULT, Paper

TITLE = "What the unsmoothed models draw (pixel means)"
HEADINGS = ("samples (pixel means)", "top layer alone drawn anew", "test images and reconstructions")
ACROSS = 5  # images beside each other in a block, two rows of them
GAP = 2  # white pixels between images

_EDGE, _INNER, _LABEL, _ROW, _HEADING, _HEADINGS, _LINE = 0.06, 0.08, 1.7, 0.86, 0.18, 0.28, 0.125  # inches


@dataclass(frozen=True)
class Drawn:
    """A model's label, safe to draw, and its images in three blocks, each (2 * ACROSS, H, W) or (..., 3) in [0, 1]."""

    label: str
    blocks: tuple[np.ndarray, np.ndarray, np.ndarray]


def label_inches(paper: Paper) -> float:
    """Return the room for a line of a label."""
    width = paper.inches("page")
    return width - 2 * _EDGE if width == style.COLUMN_INCHES else _LABEL - _INNER


def draw_samples(models: Sequence[Drawn], *, paper: Paper = DEFAULT) -> Figure:
    """Draw one row per model."""
    width = paper.inches("page")
    title, above = paper.titled(TITLE, width), width == style.COLUMN_INCHES
    left = _EDGE + (0.0 if above else _LABEL)
    across = (width - left - 2 * _INNER - _EDGE) / 3
    labels = [_LINE * (model.label.count("\n") + 1) for model in models]
    pictures = [_mosaic(model.blocks[0]).shape for model in models]
    blocks = [across * shape[0] / shape[1] for shape in pictures]
    if above:
        heads = [_HEADINGS, *[0.04] * (len(models) - 1)]
        rows = [label + head + block + 0.12 for label, head, block in zip(labels, heads, blocks, strict=True)]
    else:
        rows = [max(_ROW, label, block) + _INNER for label, block in zip(labels, blocks, strict=True)]
    top = (0.24 if title else 0.04) + (0.0 if above else _HEADING)
    with paper.style():
        height = top + sum(rows) + 0.02
        figure = style.new_figure(width, height, title)
        for i, (model, row, block) in enumerate(zip(models, rows, blocks, strict=True)):
            words: dict[str, Any] = {"fontsize": style.SMALL_POINTS, "linespacing": 1.1, "gid": "label"}
            middle = top if above else top + row / 2
            figure.text(_EDGE / width, 1 - middle / height, model.label, va="top" if above else "center", **words)
            first = top + row - block - 0.12 if above else top + (row - block) / 2
            for j, images in enumerate(model.blocks):
                box = (left + j * (across + _INNER), first, across, block)
                ax = figure.add_axes((box[0] / width, 1 - (box[1] + box[3]) / height, box[2] / width, box[3] / height))
                _draw_block(ax, images)
                if i == 0:
                    heading = textwrap.fill(HEADINGS[j], 18) if above else HEADINGS[j]
                    ax.set_title(heading, fontsize=style.SMALL_POINTS, pad=3, linespacing=1.05)
            top += row
    return figure


def _draw_block(ax: Axes, images: np.ndarray) -> None:
    ax.imshow(_mosaic(images), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()


def _mosaic(images: np.ndarray) -> np.ndarray:
    """Set images (2 * ACROSS, H, W) or (..., 3) in two rows, white lines between them."""
    colours = images.shape[3:]
    white = float(bool(colours))  # ink is dark where there are no colours
    framed = np.pad(images, ((0, 0), (GAP, 0), (GAP, 0), *[(0, 0)] * len(colours)), constant_values=white)
    count, height, width = framed.shape[:3]
    rows = framed.reshape(2, count // 2, height, width, *colours).swapaxes(1, 2)
    return rows.reshape(2 * height, count // 2 * width, *colours)
