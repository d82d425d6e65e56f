"""From results directories to the phase-transition figure on disk, with the csv files behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.critical import CriticalRho
from analysis.curves import Curve, curves, curves_in_words
from analysis.gather import GatherError, gather
from analysis.matched import on_rho_axis
from analysis.phase_figure import MAX_MODELS, draw_phase_transition, models_drawn
from analysis.report import Report
from analysis.select import keep_only
from analysis.summary import summarise

__all__ = ["Report", "draw_phase_transition", "phase_transition", "summarise", "write_figure"]

NAME = "phase-transition"


PRINTED = (  # of the table of critical values; the csv has all
    *("dataset", "source", "binarise", "model", "ou_samples", "steps", "n_rho", "n_seeds", "plateau", "rho_critical"),
    *("bracket_low", "bracket_high", "interval_low", "interval_high", "rho_half", "steepness", "verdict"),
)


def phase_transition(
    directories: Sequence[Path],
    out: Path | None = None,
    formats: Sequence[str] = ("png", "pdf"),
    title: bool = True,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Report:
    """Gather results directories and write the figure, to `<first directory>/figures` unless `out` says otherwise.

    The report's table has the critical rho of each curve (see `CriticalRho`). `datasets` (each `name` or
    `name:source`) and `models` keep only those; none keeps all. Raises GatherError where there is nothing to plot,
    ValueError for an unknown format, OSError where nothing can be written.
    """
    gathered = gather(directories)
    frame = keep_only(gathered.frame, datasets, models)
    states = frame["state"].value_counts()
    if not states.get("complete", 0):
        others = ", ".join(f"{count} {state}" for state, count in states.items())
        raise GatherError(f"nothing to plot: {len(frame)} cells, 0 complete ({others})")
    frame = on_rho_axis(frame)
    critical = CriticalRho()(frame)
    figure = draw_phase_transition(frame, critical, title=title)
    directory = directories[0] / "figures" if out is None else out
    files = write_figure(figure, summarise(frame), critical, directory, formats=formats)
    text = critical[list(PRINTED)].to_string(index=False, float_format="%.4g", na_rep="-")
    return Report(files, gathered.notes + _left_out(frame), critical, text)


def write_figure(
    figure: Figure,
    summary: pd.DataFrame,
    critical: pd.DataFrame,
    directory: Path,
    name: str = NAME,
    formats: Sequence[str] = ("png", "pdf"),
) -> list[Path]:
    """Write `<name>.png|pdf|svg`, `<name>.csv` (the summary behind it) and `<name>-critical.csv`; returns the paths.

    Raises what `style.write_files` raises.
    """
    return style.write_files(figure, directory, name, formats, {name: summary, f"{name}-critical": critical})


def _left_out(frame: pd.DataFrame) -> list[str]:
    """One line per curve with cells that are not complete, and one for models beyond the last column."""
    every = curves(frame)
    notes = []
    for curve in every:
        missing = curve.rows.loc[curve.rows["state"] != "complete", "state"].value_counts()
        if len(missing):
            states = ", ".join(f"{count} {state}" for state, count in missing.items())
            drawn = "" if len(curve.complete) else "; it is not drawn"
            notes.append(
                f"{_name(curve)}: {missing.sum()} of {len(curve.rows)} cells are not complete ({states}){drawn}"
            )
    drawn_models = models_drawn([curve for curve in every if len(curve.complete)])
    beyond = dict.fromkeys(c["model"] for c in every if len(c.complete) and c["model"] not in drawn_models)
    if beyond:
        notes.append(f"a figure shows {MAX_MODELS} models; left out: {', '.join(beyond)} (choose with --models)")
    return notes


def _name(curve: Curve) -> str:
    shared, own = curves_in_words([curve])
    data, _, *rest = own[0]
    return ", ".join([curve["model"], data, *rest, *(words for words in shared if words != curve.seeds)])
