"""From results directories with linear models to the calibration figure, its csv, and a table."""

from __future__ import annotations

from analysis.critical.calibration import calibration_cells, calibration_table
from analysis.figures.calibration import draw_calibration
from analysis.frames.curves import curves
from analysis.frames.gather import GatherError
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.incomplete import incomplete, require_complete
from analysis.words.printed import printed

NAME = "calibration"
UNSOLVED = (
    "linear models on other data than calibrate's coins, or with free bits, IWAE or unfinished annealing, "
    "are not solved"
)
PRINTED = (
    *("model", "ou_samples", "beta_top", "steps", "n_seeds", "exact_first", "exact_last", "rho_critical"),
    *("interval90_low", "interval90_high", "holds", "kl_error_rms", "kl_error_largest", "verdict"),
)


def report(request: PlotRequest) -> Report:
    """Gather results directories and write `calibration.<format>`, `calibration.csv` and `calibration-cells.csv`.

    Raises GatherError where there is no linear model, ValueError for an unknown format, OSError where nothing can be
    written.
    """
    gathered, frame = request.gather()
    require_complete(frame)
    linear = frame[frame["family"] == "linear"]
    if linear.empty:
        raise GatherError("nothing to plot: no linear model in these results; hvae-sweep calibrate trains them")
    require_complete(linear)
    table, cells = calibration_table(linear), calibration_cells(linear)
    others = len(curves(linear[linear["state"] == "complete"])) - len(table)
    if table.empty:
        raise GatherError(f"nothing to plot: {UNSOLVED}; hvae-sweep calibrate trains those that are")
    figure = draw_calibration(table, cells, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: table, f"{NAME}-cells": cells})
    held = int((table["holds"] == "yes").sum())
    given = int((table["holds"] != "").sum())
    text = f"{printed(table, PRINTED)}\n{held} of {given} intervals hold the exact critical rho; nominal: 90 %"
    notes = [f"{others} curves are left out: {UNSOLVED}"] if others else []
    return Report(files, gathered.notes + incomplete(curves(linear)) + notes, table, text)
