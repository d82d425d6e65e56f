"""From results directories to the table of critical values, as text and as csv."""

from __future__ import annotations

import pandas as pd

from analysis.critical.compare import compare_datasets
from analysis.critical.diagnostics import NUMBERS, diagnostics_table
from analysis.critical.table import critical_table
from analysis.frames.csv_text import csv_bytes
from analysis.frames.curves import CURVE, curves
from analysis.requests.output import write_all
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.incomplete import incomplete
from analysis.words.printed import printed

NAME = "critical"
SETTINGS = ("dataset", "source", "binarise", "model", "ou_samples", "steps")
PRINTED = (
    *("dataset", "source", "model", "rho_critical", "interval90_low", "interval90_high", "grid_low", "grid_high"),
    *("rounding", "resolution", "rho_crossing", "n_rho", "n_seeds", "ou_samples", "steps", "c_critical", "verdict"),
)
COMPARED = (
    *("data_a", "data_b", "model", "ou_samples", "steps", "n_seeds", "n_rho", "quantity", "difference", "low95"),
    *("high95", "largest_kl_per_unit", "at_rho", "verdict"),
)
NO_PAIR = "nothing to compare: no two curves differ in their data alone"
DIAGNOSTICS_NOTE = "diagnostics have targets of their own; they are no measure of the critical value's error"


def report(request: PlotRequest, *, diagnostics: bool = False, margin: float | None = None) -> Report:
    """Gather results directories and write `critical.csv`, with diagnostics `critical-diagnostics.csv` as well.

    With a margin (in rho) data sets are compared, in `critical-compare.csv`.

    The text has one line per curve. Raises GatherError where there is nothing to judge, and OSError where nothing can
    be written.
    """
    frame, notes = request.trained_cells()
    table = critical_table(frame)
    text, contents = printed(table, PRINTED), {f"{NAME}.csv": csv_bytes(table)}
    notes += incomplete(curves(frame)) + apart_in_words(table)
    if diagnostics:
        others = diagnostics_table(frame)
        contents[f"{NAME}-diagnostics.csv"] = csv_bytes(others)
        text += "\n\n" + printed(others, (*SETTINGS, *NUMBERS))
        notes.append(DIAGNOSTICS_NOTE)
    if margin is not None:
        pairs = compare_datasets(frame, margin)
        contents[f"{NAME}-compare.csv"] = csv_bytes(pairs)
        text += "\n\n" + (printed(pairs, COMPARED) if len(pairs) else NO_PAIR)
    return Report(write_all(request.directory, contents), notes, table, text)


def apart_in_words(table: pd.DataFrame) -> list[str]:
    """Return a line on each curve with seeds whose critical rho is far from the others'."""
    found = table[table["seeds_apart"] != ""]
    return [
        f"{row['dataset']}:{row['source']}, {row['model']}: the critical rho of seed {row['seeds_apart']} is more than "
        f"0.05 from the median over seeds; it counts like the others"
        for row in found[[*CURVE, "seeds_apart"]].to_dict("records")
    ]
