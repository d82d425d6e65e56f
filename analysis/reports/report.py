"""From results directories to `report.html`: one page that opens from disk, complete or while a sweep runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.axes.paper import Paper
from analysis.figures.samples import draw_samples, label_inches
from analysis.frames.gather import results_directories
from analysis.frames.over_rho import over_rho
from analysis.page.content import content_of, png
from analysis.page.render import render
from analysis.reports.samples import let_draw
from analysis.reports.table import tables_of
from analysis.requests.chosen_cells import chosen_cells
from analysis.requests.output import write_all
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.incomplete import untrained
from hvae_core.checks import SpecError
from hvae_core.data import DataError
from sweeps.ledger.ledger import LedgerError

FILE = "report.html"
UNTITLED = Paper(title=False)


def report(request: PlotRequest, *, samples: bool = True, reload: bool = False) -> Report:
    """Gather results directories and write the page; with `reload` it reloads itself while cells are pending.

    Samples are left out, with a note, where weights or data are not here. Raises GatherError where there is no cell,
    OSError where nothing can be written.
    """
    gathered, frame = request.gather()
    directories = [below for given in request.results for below in results_directories(given)]
    trained = over_rho(frame)
    notes = gathered.notes + untrained(frame)
    drawn, lines = _samples(frame, gathered.directories) if samples else (b"", [])
    content = content_of(frame, trained, directories, tables_of(frame), drawn, notes + lines)
    files = write_all(request.directory, {FILE: render(content, reload).encode()})
    return Report(files, notes + lines, frame, "")


def _samples(frame: pd.DataFrame, directories: dict[str, Path]) -> tuple[bytes, list[str]]:
    """Let a few models over rho draw; nothing, and a line, where they cannot."""
    complete = frame[frame["state"] == "complete"]
    if complete.empty:
        return b"", []
    chosen, _ = chosen_cells(complete, ())
    try:
        inches = label_inches(UNTITLED)
        drawn = [let_draw(cell, directories[cell["cell_id"]], inches) for _, cell in chosen.iterrows()]
    except (LedgerError, DataError, SpecError) as error:
        return b"", [f"no samples: {error}"]
    return png(draw_samples(drawn, paper=UNTITLED)), []
