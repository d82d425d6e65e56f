"""From results directories to the drift figure on disk, with the csv files behind it."""

from __future__ import annotations

from analysis.critical.drift import AT_STEP, drift_tables, reaching_back
from analysis.figures.drift import MOST_CURVES, draw_drift
from analysis.frames.curves import curves
from analysis.frames.gather import GatherError
from analysis.frames.histories import histories
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.curves import curve_in_words
from analysis.words.incomplete import incomplete
from analysis.words.printed import printed

NAME = "drift"
PRINTED = ("dataset", "source", "model", "ou_samples", "step", "n_seeds", *AT_STEP, "rounding", "rounding_steps")
BACK = "that reaches back to half"
ADVICE = "train with --eval-every N, at most a quarter of the steps (complete cells are not trained again)"


def report(request: PlotRequest) -> Report:
    """Gather results directories and write `drift.<format>`, `drift.csv` and `drift-exponents.csv`.

    Raises GatherError where no cell has a history that reaches back, ValueError for an unknown format, OSError where
    nothing can be written.
    """
    frame, notes = request.trained_cells()
    known, damaged = histories(request.results, frame)
    table, exponents = drift_tables(frame, known)
    if table.empty:
        raise GatherError(f"nothing to plot: no trained cell has a history {BACK} of its steps; {ADVICE}")
    names = {curve.key: curve_in_words(curve) for curve in curves(frame)}
    figure = draw_drift(table, exponents, names, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: table, f"{NAME}-exponents": exponents})
    notes = [*notes, *damaged, *incomplete(curves(frame))]
    found = curves(table)
    for curve in curves(frame[frame["state"] == "complete"]):
        short = len(curve.rows) - len(reaching_back(curve, known).rows)
        if short:
            of = f"{short} of {len(curve.rows)} cells have no history {BACK} of their steps"
            notes.append(f"{curve_in_words(curve)}: {of}, left out; {ADVICE}")
    if len(found) > MOST_CURVES:
        notes.append(f"a figure shows {MOST_CURVES} curves of {len(found)}; the csv has all (choose with --models)")
    ends = [
        f"{curve.name}, {curve['model']}, K = {curve['ou_samples']}: {curve.rows['verdict'].iloc[-1]}"
        for curve in found
    ]
    return Report(files, notes, table, "\n".join([printed(table, PRINTED), "", *ends]))
