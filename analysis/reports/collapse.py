"""From results directories to the collapse figure on disk: active units over depth and width, as in Figure 3.

A block is a set of cells that differ in nothing but depth, width, rho and seed; each block is a figure of its own, so
no map ever joins two experiments. A map is what a block holds at one rho: rho = 1 is the plain VAE. Only mlp models
whose stochastic layers all have one width have a place in a map, and one place alone is no map.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.figures.collapse import DEFINITIONS, MAX_RHOS, Quantity, draw_collapse, rhos_drawn
from analysis.frames.curves import Curve
from analysis.frames.gather import GatherError
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.summaries.depth_width import STATES, blocks, depth_width_table, some
from analysis.words.curves import curve_in_words, curves_in_words
from analysis.words.incomplete import incomplete, require_complete, untrained
from analysis.words.printed import printed
from analysis.words.settings import settings

NAME = "collapse"
SAID = ("dataset", "source", "binarise", "hidden", "ou_samples", "steps", "rho", "depth", "width", "n_seeds")
_MAX_FILE_NAME = 100


def report(request: PlotRequest, *, quantity: Quantity = "mean") -> Report:
    """Gather results directories and write one figure per block.

    One block is `collapse.<format>`; several are `collapse-<dataset>.<format>`, with what else tells them apart.
    `collapse.csv` holds the numbers of all. `quantity` chooses what is drawn: active units au_i (mean) or au_path_i
    (path), or the share. Raises GatherError where there is nothing to plot, ValueError for an unknown format or
    quantity, OSError where nothing can be written.
    """
    if quantity not in DEFINITIONS:
        raise ValueError(f"quantity: {quantity!r} is not allowed; it must be {' or '.join(DEFINITIONS)}")
    gathered, frame = request.gather()
    require_complete(frame)
    if quantity == "share" and ("share_top" not in frame or frame["share_top"].isna().all()):
        raise GatherError(
            f"nothing to plot: no cell has a share; hvae-sweep evaluate {request.results[0]} --what share"
        )
    every, notes = blocks(frame)
    drawn = [block for block in every if len(block.complete)]
    tables = [depth_width_table([block]) for block in drawn]
    notes += incomplete(every) + _of_maps(drawn, tables)
    if not drawn:
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise GatherError(f"nothing to plot: no depth-width grid has a complete cell: {notes[0]}{more}")
    whole, files = depth_width_table(drawn), list[Path]()
    for table, name, words in zip(tables, _file_names(drawn), _words(drawn), strict=True):
        figure = draw_collapse(table, words, quantity=quantity, paper=request.paper)
        behind = {NAME: whole} if table is tables[-1] else {}
        files += write_files(figure, request, name, behind)
    units = [f"{DEFINITIONS[quantity]}_{name}" for name in ("top", "top_fraction", "total", "total_fraction", "mean")]
    return Report(files, gathered.notes + untrained(frame) + notes, whole, printed(whole, (*SAID, *units, "elbo")))


def _words(group: Sequence[Curve]) -> list[list[str]]:
    """Say for each block its data, its model and its settings, those that all share included, and its seeds."""
    shared, own = curves_in_words(group)
    said = []
    for block, (data, content, *rest) in zip(group, own, strict=True):
        # A curve counts seeds per rho; here each place of a map has its own number of them.
        known = [words for words in (*shared, *rest) if words != block.seeds]
        counts = block.complete.groupby(["rho", "depth", "width"])["seed"].nunique()
        low, high = int(counts.min()), int(counts.max())
        seeds = f"{high} seed{'s' if high > 1 else ''}" if low == high else f"{low}–{high} seeds"
        said.append([data, content, block["model"], *known, f"median of {seeds}" if high > 1 else seeds])
    return said


def _file_names(group: Sequence[Curve]) -> list[str]:
    """Name the figures: `collapse`, or `collapse-<dataset>` and as few other words as tell several blocks apart."""
    if len(group) == 1:
        return [NAME]
    said = [settings(block) for block in group]
    columns = [
        [block["dataset"] for block in group],
        [block["source"] for block in group],
        [block["model"] for block in group],
        *([each[name] for each in said] for name in said[0] if name != "seeds"),
        [block.content for block in group],
    ]
    names = [NAME] * len(group)
    for i, column in enumerate(columns):
        longer = [f"{name}-{_slug(words)}"[:_MAX_FILE_NAME] for name, words in zip(names, column, strict=True)]
        if i == 0 or len(set(longer)) > len(set(names)):
            names = longer
    counts = [names[:i].count(name) + 1 for i, name in enumerate(names)]
    return [name if count == 1 else f"{name}-{count}" for name, count in zip(names, counts, strict=True)]


def _slug(words: str) -> str:
    """Make words safe for a file name, also where case does not count."""
    return re.sub(r"[^a-z0-9.]+", "-", words.lower().replace(",", "").replace(" = ", "")).strip("-.") or "x"


def _of_maps(drawn: Sequence[Curve], tables: Sequence[pd.DataFrame]) -> list[str]:
    """One line per block that lacks the plain VAE, has holes in its maps, or more maps than a figure shows."""
    notes = []
    for block, table in zip(drawn, tables, strict=True):
        name, rhos = curve_in_words(block), sorted(float(rho) for rho in table["rho"].unique())
        if 1 not in rhos:
            notes.append(f"{name}: no map of the plain VAE, no cells of ρ = 1")
        holes = int((table[["n_seeds", *(f"n_{state}" for state in STATES)]].sum(axis=1) == 0).sum())
        if holes:
            notes.append(f"{name}: no cell was asked for at {holes} of {len(table)} places of its maps")
        shown = rhos_drawn(table)
        left = some([f"{rho:g}" for rho in rhos if rho not in shown])
        if left:
            notes.append(f"{name}: a figure shows {MAX_RHOS} maps; left out: ρ = {left} (choose with --rho)")
    return notes
