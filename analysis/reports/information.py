"""From results directories to the information figure on disk, with the csv behind it."""

from __future__ import annotations

from analysis.figures.information import curves_drawn, draw_information
from analysis.frames.curves import curves
from analysis.frames.gather import GatherError
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.summaries.information import at_ceiling, evaluated, information_table
from analysis.words.curves import curve_in_words
from analysis.words.printed import printed

NAME = "information"
PRINTED = ("dataset", "source", "model", "steps", "rho", "layer", "n_seeds", "kl_median", "kl_from_here_median")
ESTIMATES = ("info_median", "info_high_median", "info_gauss_median", "share_median")


def report(request: PlotRequest) -> Report:
    """Gather results directories and write `information.<format>` and `information.csv`.

    The text holds the top layers. Raises GatherError where no cell's information was evaluated, ValueError for an
    unknown format, OSError where nothing can be written.
    """
    frame, notes = request.trained_cells()
    every = curves(frame)
    known = [curve for curve in every if len(evaluated(curve))]
    if not known:
        how = f"hvae-sweep evaluate {request.results[0]} --what information"
        raise GatherError(f"nothing to plot: the information of no cell was evaluated; {how}")
    table = information_table(known)
    figure = draw_information(table, known, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: table})
    for curve in known:
        lacking = len(curve.complete) - len(evaluated(curve))
        if lacking:
            notes.append(f"{curve_in_words(curve)}: {lacking} of {len(curve.complete)} complete cells lack information")
    for curve in known:
        if layers := at_ceiling(table, curve):
            named = ", ".join(f"layer {layer}" for layer in layers)
            notes.append(
                f"{curve_in_words(curve)}: {named}: the lower estimate is at its ceiling, log N; take more --examples"
            )
    shown = curves_drawn(known, request.paper)
    if beyond := [curve for curve in known if curve.key not in {each.key for each in shown}]:
        names = "; ".join(map(curve_in_words, beyond))
        notes.append(f"this figure shows {len(shown)} curves; left out: {names} (choose with --datasets or --models)")
    top = table[table["layer"] == table.groupby("model")["layer"].transform("max")]
    return Report(files, notes, table, printed(top, (*PRINTED, *ESTIMATES)))
