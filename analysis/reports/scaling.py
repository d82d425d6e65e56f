"""From results directories to the scaling figure on disk, with the csv behind it."""

from __future__ import annotations

from analysis.critical.scaling import PANELS, scaling_table
from analysis.figures.scaling import draw_scaling, panels_of
from analysis.frames.curves import curves
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.words.incomplete import incomplete
from analysis.words.printed import printed

NAME = "scaling"
PRINTED = (
    "dataset",
    "source",
    "model",
    "units",
    "ou_samples",
    "steps",
    "n_rho",
    "n_seeds",
    *PANELS,
    "crossing",
    "kind",
)
TOO_FEW = "widths and steps: all curves have the same, so that nothing is compared; sweep several --model or --steps"


def report(request: PlotRequest) -> Report:
    """Gather results directories and write `scaling.<format>` and `scaling.csv`.

    Raises GatherError where there is nothing to plot, ValueError for an unknown format, OSError where nothing can be
    written.
    """
    frame, notes = request.trained_cells()
    table = scaling_table(frame)
    figure = draw_scaling(table, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: table})
    notes = [*notes, *incomplete(curves(frame))]
    if lacking := [name for name in PANELS if name not in panels_of(table)]:
        notes.append(f"no panel of {', '.join(lacking)}: no curve has a value (see the column kind)")
    if len(table[["units", "steps"]].drop_duplicates()) < 2:
        notes.append(TOO_FEW)
    return Report(files, notes, table, printed(table, PRINTED))
