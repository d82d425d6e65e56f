"""What models draw, side by side: a look at what a collapsed top layer means.

One row per cell: samples of the prior; samples in which the top layer alone is drawn anew, which are all alike where it
has collapsed; test images over their reconstructions. All cells of a figure share their noise and test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.gather import GatherError, gather
from analysis.select import keep_only

NAME = "samples"
MAX_ROWS = 8
COLUMNS = 5  # images beside each other in a block, two rows of them
GAP = 2  # white pixels between images
HEADINGS = ("samples", "top layer alone drawn anew", "test images and reconstructions")


@dataclass(frozen=True)
class Row:
    """A cell's label, and its images in three blocks, each (2 * COLUMNS, H, W) in [0, 1]."""

    label: str
    blocks: tuple[np.ndarray, np.ndarray, np.ndarray]


def choose_cells(
    directories: Sequence[Path], cells: Sequence[str], datasets: Sequence[str], models: Sequence[str]
) -> pd.DataFrame:
    """Choose what to draw: complete cells whose ids begin as asked, or else up to four of the first curve over rho.

    Returns their rows of the gathered frame with a column `path`. Raises GatherError where there is none.
    """
    frame = gather(directories).frame
    frame = keep_only(frame, datasets, models)
    frame = frame[frame["state"] == "complete"]
    if cells:
        for text in cells:
            if not frame["cell_id"].str.startswith(text).any():
                raise GatherError(f"cells: {text!r} is no complete cell of these results")
        frame = frame[frame["cell_id"].str.startswith(tuple(cells))]
        if len(frame) > MAX_ROWS:
            raise GatherError(f"cells: {len(frame)} are asked for; a figure shows at most {MAX_ROWS}")
    elif len(frame):
        first = frame.iloc[0]
        same = ["dataset", "source", "checksum", "binarise", "model", "steps", "seed"]
        frame = frame[(frame[same] == first[same]).all(axis=1)].sort_values("rho")
        wanted = np.unique(np.linspace(0, len(frame) - 1, 4).round().astype(int))
        frame = frame.iloc[wanted]
    if frame.empty:
        raise GatherError("nothing to draw: no complete cell")
    paths = [next(d / "cells" / i for d in directories if (d / "cells" / i).is_dir()) for i in frame["cell_id"]]
    return frame.assign(path=[str(path) for path in paths])


def label_of(cell: pd.Series) -> str:
    """Two or three short lines: model and data, rho, what the top layer does."""
    units = f"top KL {cell['kl_top']:.2f} nats, {cell['au_top']} active"
    beta = "" if cell["beta_top"] == 1 else f", β_top = {cell['beta_top']:.3g}"
    return f"{cell['dataset']} {cell['model']}\n{cell['method']}, ρ = {cell['rho']:g}{beta}\n{units}"


def draw_samples(rows: Sequence[Row], title: bool = True) -> Figure:
    """Draw one row per cell and one block per heading."""
    height = 0.86 * len(rows) + 0.45
    with style.paper_style():
        figure = style.new_figure(style.PAGE_INCHES, height)
        shares = {"width_ratios": [1.0, 1.4, 1.4, 1.4], "wspace": 0.06, "hspace": 0.12}
        grid = figure.subplots(len(rows), 4, squeeze=False, gridspec_kw=shares)
        for axes, row in zip(grid, rows, strict=True):
            label = "\n".join(map(style.plain, row.label.split("\n")))
            axes[0].text(0, 0.5, label, va="center", fontsize=style.SMALL_POINTS)
            for panel, block in zip(axes[1:], row.blocks, strict=True):
                panel.imshow(_mosaic(block), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        for panel in grid.flat:
            panel.set_axis_off()
        for panel, heading in zip(grid[0][1:], HEADINGS, strict=True):
            panel.set_title(heading, fontsize=style.SMALL_POINTS)
        if title:
            figure.suptitle("What the unsmoothed models draw (pixel probabilities)", y=0.995, va="top")
        top = 1 - (0.42 if title else 0.25) / height
        figure.subplots_adjust(left=0.01, right=0.995, bottom=0.02, top=top)
    return figure


def write_samples(figure: Figure, cells: pd.DataFrame, directory: Path, formats: Sequence[str]) -> list[Path]:
    """Write `samples.<format>` and `samples.csv`, the rows of the cells that are drawn."""
    return style.write_files(figure, directory, NAME, formats, {NAME: cells.drop(columns="path")})


def _mosaic(images: np.ndarray) -> np.ndarray:
    """Set images (2 * COLUMNS, H, W) in two rows, white lines between them."""
    framed = np.pad(images, ((0, 0), (GAP, 0), (GAP, 0)))
    count, height, width = framed.shape
    return framed.reshape(2, count // 2, height, width).transpose(0, 2, 1, 3).reshape(2 * height, -1)
