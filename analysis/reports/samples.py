"""From results directories to what models draw, side by side: a look at what a collapsed top layer means.

One row per cell: samples of the prior; samples in which the top layer alone is drawn anew, which are all alike where it
has collapsed; test images over their reconstructions. All cells of a figure share their noise and test images.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.axes import style
from analysis.axes.legend import wrapped
from analysis.frames.curves import curves
from analysis.requests.chosen_cells import chosen_cells
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.curves import curves_in_words
from analysis.words.incomplete import require_complete
from analysis.words.printed import printed
from sweeps.ledger.ledger import Ledger

NAME = "samples"
COLUMNS = 5  # images beside each other in a block, two rows of them
GAP = 2  # white pixels between images
LABEL_INCHES = 1.62
HEADINGS = ("samples", "top layer alone drawn anew", "test images and reconstructions")
PRINTED = (
    *("cell_id", "dataset", "source", "binarise", "model", "method", "rho", "ou_samples", "seed", "steps"),
    *("kl_top", "au_top", "elbo", "bits_per_dim"),
)


@dataclass(frozen=True)
class Row:
    """A cell's label, safe to draw, and its images in three blocks, each (2 * COLUMNS, H, W) or (..., 3) in [0, 1]."""

    label: str
    blocks: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, cell: pd.Series[Any], results: Path) -> Row:
        """Let a complete cell of a results directory draw; raises LedgerError where its weights are gone."""
        from sweeps.trained.drawings import pictures  # torch

        drawn = pictures(Ledger(results), cell["cell_id"], 2 * COLUMNS)
        tests = np.concatenate([drawn.originals[:COLUMNS], drawn.reconstructions[:COLUMNS]])
        return cls(label_of(cell), (drawn.samples, drawn.top, tests))


def report(request: PlotRequest, *, cells: Sequence[str] = ()) -> Report:
    """Gather results directories, let cells draw, and write `samples.<format>` and `samples.csv`, their rows.

    `cells` are beginnings of ids, none leaves the choice to `spread_over_rho`. Raises GatherError where there is
    nothing to draw, LedgerError where the weights of a cell are gone, ValueError for an unknown format, OSError where
    nothing can be written.
    """
    gathered, frame = request.gather()
    require_complete(frame)
    complete = frame[frame["state"] == "complete"]
    chosen, notes = chosen_cells(complete, cells)
    rows = [Row.of(cell, gathered.directories[cell["cell_id"]]) for _, cell in chosen.iterrows()]
    figure = draw_samples(rows, request.title)
    files = write_files(figure, request.directory, NAME, request.formats, {NAME: chosen})
    return Report(files, gathered.notes + notes, chosen, printed(chosen, PRINTED))


def label_of(cell: pd.Series[Any]) -> str:
    """Short lines: data with their source and checksum, model, method, rho, K and all else that defines the cell; seed;
    what the top layer does.
    """
    (curve,) = curves(cell.to_frame().T)
    shared, ((name, content, *_),) = curves_in_words([curve])
    settings = [words for words in shared if words != curve.seeds]
    words = [content, curve["model"], str(cell["method"]), f"ρ = {cell['rho']:g}", *settings, f"seed {cell['seed']}"]
    units = f"top KL {cell['kl_top']:.2f} nats, {cell['au_top']} active"
    bits = cell.get("bits_per_dim", math.nan)
    units += "" if pd.isna(bits) else f"\n{bits:.3f} bits/dim"
    named = textwrap.fill(f"{style.plain(name)},", 28)
    return f"{named}\n{wrapped(list(map(style.plain, words)), LABEL_INCHES)}\n{units}"


def draw_samples(rows: Sequence[Row], title: bool = True) -> Figure:
    """Draw one row per cell and one block per heading."""
    lines = max(row.label.count("\n") + 1 for row in rows)
    height = max(0.86, 0.14 * lines + 0.06) * len(rows) + 0.45
    with style.paper_style():
        figure = style.new_figure(style.PAGE_INCHES, height)
        shares = {"width_ratios": [1.35, 1.4, 1.4, 1.4], "wspace": 0.06, "hspace": 0.12}
        grid = figure.subplots(len(rows), 4, squeeze=False, gridspec_kw=shares)
        for axes, row in zip(grid, rows, strict=True):
            axes[0].text(0, 0.5, row.label, va="center", fontsize=style.SMALL_POINTS, linespacing=1.1)
            for panel, block in zip(axes[1:], row.blocks, strict=True):
                panel.imshow(_mosaic(block), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        for panel in grid.flat:
            panel.set_axis_off()
        for panel, heading in zip(grid[0][1:], HEADINGS, strict=True):
            panel.set_title(heading, fontsize=style.SMALL_POINTS)
        if title:
            figure.suptitle("What the unsmoothed models draw (pixel means)", y=0.995, va="top")
        top = 1 - (0.42 if title else 0.25) / height
        figure.subplots_adjust(left=0.01, right=0.995, bottom=0.02, top=top)
    return figure


def _mosaic(images: np.ndarray) -> np.ndarray:
    """Set images (2 * COLUMNS, H, W) or (..., 3) in two rows, white lines between them."""
    colours = images.shape[3:]
    white = float(bool(colours))  # ink is dark where there are no colours
    framed = np.pad(images, ((0, 0), (GAP, 0), (GAP, 0), *[(0, 0)] * len(colours)), constant_values=white)
    count, height, width = framed.shape[:3]
    rows = framed.reshape(2, count // 2, height, width, *colours).swapaxes(1, 2)
    return rows.reshape(2 * height, count // 2 * width, *colours)
