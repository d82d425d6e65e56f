"""From results directories to the spectrum figure on disk, with the csv behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.axes import style
from analysis.axes.legend import wrapped
from analysis.figures.spectrum import draw_spectrum
from analysis.frames.curves import curves
from analysis.requests.chosen_cells import chosen_cells
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.curves import curves_in_words
from analysis.words.incomplete import require_complete
from sweeps.ledger.ledger import Ledger

NAME = "spectrum"
KNOWN = ("cell_id", "dataset", "source", "model", "rho", "seed")
LABEL_INCHES = 2.6


def report(request: PlotRequest, *, cells: Sequence[str] = ()) -> Report:
    """Gather results directories, measure cells, and write `spectrum.<format>` and `spectrum.csv`.

    `cells` are beginnings of ids; without any, four of one curve over rho are taken. Raises GatherError where there is
    nothing to draw, LedgerError where the weights of a cell are gone, ValueError for an unknown format, OSError where
    nothing can be written.
    """
    gathered, frame = request.gather()
    require_complete(frame)
    chosen, notes = chosen_cells(frame[frame["state"] == "complete"], cells)
    rows, conditions = list[dict[str, Any]](), set[float]()
    for _, cell in chosen.iterrows():
        found, condition = _rows(cell, gathered.directories[cell["cell_id"]])
        rows += found
        conditions.add(condition)
    table = pd.DataFrame(rows)
    heading, labels = labels_of(chosen)
    figure = draw_spectrum(table, labels, heading, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: table})
    worst = 100 * table["misfit"].max()
    notes.append(f"non-negative least squares: condition number {max(conditions):.0f}, largest misfit {worst:.2g} %")
    return Report(files, gathered.notes + notes, table, _printed(table))


def _rows(cell: pd.Series[Any], results: Path) -> tuple[list[dict[str, Any]], float]:
    """Measure a cell: its rows of the table, and the condition number of the fit."""
    from sweeps.trained.spectra import spectrum  # torch

    found = spectrum(Ledger(results), cell["cell_id"])
    rows = []
    for layer, parts in enumerate(found.energy, 1):
        for part, energies, misfit in zip(("mu", "sigma"), parts, found.misfit[layer - 1], strict=True):
            variance = float(energies.sum())
            facts = {**{name: cell[name] for name in KNOWN}, "layer": layer, "part": part, "variance": variance}
            for degree, energy in enumerate(energies, 1):
                fraction = float(energy) / variance if variance > 0 else float("nan")
                rows.append({**facts, "degree": degree, "energy": energy, "fraction": fraction, "misfit": misfit})
    return rows, found.condition


def labels_of(chosen: pd.DataFrame) -> tuple[str, list[str]]:
    """Say what all cells share, and what each has of its own, in lines of a legend."""
    said = [_words(cell) for _, cell in chosen.iterrows()]
    shared = [word for word in said[0] if all(word in words for words in said)] if len(said) > 1 else []
    own = [[word for word in words if word not in shared] or words for words in said]
    return _lines(shared), [_lines(words) for words in own]


def _lines(words: Sequence[str]) -> str:
    return wrapped(list(map(style.plain, words)), LABEL_INCHES)


def _words(cell: pd.Series[Any]) -> list[str]:
    (curve,) = curves(cell.to_frame().T)
    shared, ((name, _, *_),) = curves_in_words([curve])
    settings = [words for words in shared if words != curve.seeds]
    rho = f"ρ = {cell['rho']:g}"
    return [f"VAE ({rho})" if cell["method"] == "vae" else rho, name, curve["model"], *settings, f"seed {cell['seed']}"]


def _printed(table: pd.DataFrame) -> str:
    """Write the fraction of degree 1, and the variance that it is of, for each cell and layer."""
    first = table[table["degree"] == 1].rename(columns={"fraction": "linear"})
    names = [*KNOWN, "layer", "part", "variance", "linear", "misfit"]
    shown = first[names].map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    return str(shown.to_string(index=False))
