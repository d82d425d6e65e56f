"""From results directories to the phase-transition figure on disk, with the csv files behind it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.axes.c_axis import on_c_axis
from analysis.axes.paper import Paper
from analysis.critical.table import critical_table
from analysis.frames.curves import Curve, curves
from analysis.phase.phase_transition import Axis, draw_phase_transition, models_drawn
from analysis.phase.transition_panels import NAMES
from analysis.reports.critical import PRINTED, apart_in_words
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.summaries.summary import summarise
from analysis.words.incomplete import incomplete
from analysis.words.printed import printed
from hvae_core.checks import SpecError

NAME = "phase-transition"


def report(request: PlotRequest, *, axis: Axis = "rho", panels: Sequence[str] = ()) -> Report:
    """Gather results directories and write the figure, with these panels (see NAMES) or those that the data have.

    Writes `phase-transition.<format>`, `phase-transition.csv` (the summary behind it) and
    `phase-transition-critical.csv`, which is the report's table: the critical rho of each curve (see `critical_table`).
    Raises GatherError where there is nothing to plot, ValueError for an unknown format, OSError where nothing can be
    written, SpecError for panels that there are not.
    """
    frame, notes = request.trained_cells()
    critical, summary = critical_table(frame), summarise(frame)
    drawn = (frame, summary, critical) if axis != "c" else on_c_axis(frame, summary, critical)
    figure = draw_phase_transition(*drawn, paper=request.paper, axis=axis, panels=checked_panels(panels, frame))
    tables = {NAME: summary, f"{NAME}-critical": critical}
    files = write_files(figure, request, NAME, tables)
    text = printed(critical.assign(beta_top=_betas(summary)), PRINTED)
    notes += _left_out(curves(frame), request.paper) + apart_in_words(critical)
    if (critical["kind"] == "few").all():
        notes.append("no curve has enough rho values for a transition; hvae-plot table compares configurations")
    return Report(files, notes, critical, text)


def checked_panels(panels: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """Return the panels asked for; raises SpecError for one that is unknown, or of what no cell was evaluated for."""
    for name in panels:
        if name not in NAMES:
            raise SpecError(f"panels: {name!r} is not allowed; it must be of {', '.join(NAMES)}")
        if NAMES[name] not in frame or frame[NAMES[name]].isna().all():
            raise SpecError(f"panels: {name!r} is not allowed here; no cell has it: hvae-sweep evaluate --what {name}")
    return list(panels)


def _betas(summary: pd.DataFrame) -> list[float | str]:
    """Weight of the top KL of each curve; of a matched-beta curve, whose weights are c, their range over rho."""
    return [
        f"{curve.rows['c'].min():.3g}–{curve.rows['c'].max():.3g}" if curve["beta_top"] is None else curve["beta_top"]
        for curve in curves(summary)
    ]


def _left_out(every: Sequence[Curve], paper: Paper) -> list[str]:
    """One line per curve with cells that are not complete, and one for models beyond the last column."""
    drawn = [curve for curve in every if len(curve.complete)]
    shown = models_drawn(drawn, paper)
    beyond = [model for model in dict.fromkeys(curve["model"] for curve in drawn) if model not in shown]
    more = f"this figure shows {len(shown)} models; left out: {', '.join(beyond)} (choose with --models)"
    return [*incomplete(every), *([more] if beyond else [])]
