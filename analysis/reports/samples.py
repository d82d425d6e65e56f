"""From results directories to what models draw, side by side: a look at what a collapsed top layer means.

All cells of a figure share their noise and test images.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.axes import style
from analysis.axes.legend import wrapped
from analysis.figures.samples import ACROSS, Drawn, draw_samples, label_inches
from analysis.frames.configurations import configurations
from analysis.frames.curves import curves
from analysis.requests.chosen_cells import chosen_cells
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.curves import curves_in_words
from analysis.words.incomplete import require_complete
from analysis.words.methods import names_in_words
from analysis.words.printed import printed
from sweeps.ledger.ledger import Ledger

NAME = "samples"
PRINTED = (
    *("cell_id", "dataset", "source", "binarise", "model", "method", "rho", "ou_samples", "seed", "steps"),
    *("kl_top", "au_top", "elbo", "bits_per_dim"),
)


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
    inches = label_inches(request.paper)
    drawn = [let_draw(cell, gathered.directories[cell["cell_id"]], inches) for _, cell in chosen.iterrows()]
    figure = draw_samples(drawn, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: chosen})
    return Report(files, gathered.notes + notes, chosen, printed(chosen, PRINTED))


def let_draw(cell: pd.Series[Any], results: Path, inches: float) -> Drawn:
    """Let a complete cell of a results directory draw, under a label with lines of that many inches.

    Raises LedgerError where its weights are gone.
    """
    from sweeps.trained.drawings import pictures  # torch

    found = pictures(Ledger(results), cell["cell_id"], 2 * ACROSS)
    tests = np.concatenate([found.originals[:ACROSS], found.reconstructions[:ACROSS]])
    return Drawn(label_of(cell, inches), (found.samples, found.top, tests))


def label_of(cell: pd.Series[Any], inches: float) -> str:
    """Short lines: data with their source and checksum, model, method, rho, K and all else that defines the cell; seed;
    what the top layer does.
    """
    (curve,) = curves(cell.to_frame().T)
    shared, ((name, content, *_),) = curves_in_words([curve])
    settings = [words for words in shared if words != curve.seeds]
    ((method, _),) = names_in_words(configurations(cell.to_frame().T))
    words = [content, curve["model"], *method, f"ρ = {cell['rho']:g}", *settings, f"seed {cell['seed']}"]
    found = [f"top KL {cell['kl_top']:.2f} nats", f"{cell['au_top']} of {curve.top_width} top units active"]
    bits = cell.get("bits_per_dim", math.nan)
    units = wrapped([*found, *([] if pd.isna(bits) else [f"{bits:.3f} bits/dim"])], inches)
    named = textwrap.fill(f"{style.plain(name)},", int(17 * inches))
    return f"{named}\n{wrapped(list(map(style.plain, words)), inches)}\n{units}"
