"""From results directories to the training figure on disk, with the csv file behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.figures.training import draw_training
from analysis.figures.training_layout import left_out
from analysis.frames.configurations import Configuration, configurations
from analysis.frames.gather import GatherError
from analysis.frames.histories import histories
from analysis.requests.output import write_files
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.summaries.trajectories import LEAST, Trajectory, tabulate, trajectories
from analysis.words.incomplete import counted, untrained
from analysis.words.methods import words_of

NAME = "training"
_ADVICE = "--eval-every N takes one every N steps (complete cells are not trained again: use another --out)"
MAX_NAMED = 5
PRINTED = (
    "dataset",
    "source",
    "binarise",
    "model",
    "curve",
    "state",
    "n_seeds",
    "step",
    "elbo_median",
    "kl_top_median",
)


def report(request: PlotRequest) -> Report:
    """Gather results directories and write `training.<format>` and `training.csv`.

    The report's table and text have a row per curve: where it ends. Raises GatherError where there is nothing to plot,
    ValueError for an unknown format, OSError where nothing can be written.
    """
    gathered, frame = request.gather()
    known, damaged = histories(request.results, frame)
    groups = _groups(frame)
    drawn = [curve for group in groups for one in group for curve in trajectories(one, known)]
    if not drawn:
        raise GatherError(
            f"nothing to plot: none of {len(frame)} cells has {LEAST} evaluations in its history; {_ADVICE}"
        )
    figure = draw_training(drawn, paper=request.paper)
    files = write_files(figure, request, NAME, {NAME: tabulate(drawn)})
    names = {one.key: ", ".join(words) for group in groups for one, words in zip(group, words_of(group), strict=True)}
    ends = _ends(drawn, names)
    notes = [*gathered.notes, *untrained(frame), *damaged, *left_out(drawn, request.paper)]
    for group in groups:
        own = [curve for curve in drawn if curve.configuration.group == group[0].group]
        notes += _incomplete(group, own, names, known)
    return Report(files, notes, ends, ends[list(PRINTED)].to_string(index=False, float_format="%.2f"))


def _groups(frame: pd.DataFrame) -> list[list[Configuration]]:
    """Collect the configurations of each data set and model."""
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    for configuration in configurations(frame):
        groups.setdefault(configuration.group, []).append(configuration)
    return list(groups.values())


def _ends(drawn: Sequence[Trajectory], names: Mapping[tuple[Any, ...], str]) -> pd.DataFrame:
    """Return the last row of each curve, under its name."""
    ends = pd.concat([tabulate([curve]).tail(1) for curve in drawn], ignore_index=True)
    ends.insert(5, "curve", [names[curve.configuration.key] for curve in drawn])
    return ends


def _incomplete(
    group: Sequence[Configuration],
    found: Sequence[Trajectory],
    names: Mapping[tuple[Any, ...], str],
    known: Mapping[str, pd.DataFrame],
) -> list[str]:
    """Up to three lines on a data set and model: cells without a curve, cells that have none yet, parts of curves."""
    cells = pd.concat([each.rows for each in group])
    bare = cells[[len(known.get(cell_id, ())) < LEAST for cell_id in cells["cell_id"]]]
    ended, waiting = bare[bare["state"] != "pending"], bare[bare["state"] == "pending"]
    where, of, notes = group[0].title, f"of {len(cells)} cells", []
    if len(ended):
        states = counted(ended["state"])
        notes.append(f"{where}: {len(ended)} {of} have fewer than {LEAST} evaluations ({states}), left out; {_ADVICE}")
    if len(waiting):
        notes.append(f"{where}: {len(waiting)} {of} are pending and have no curve yet")
    parts = []
    for each in found:
        if not each.complete:
            seeds = f"seed{'s' if len(each.seeds) > 1 else ''} {', '.join(map(str, each.seeds))}"
            reached = f"up to step {each.last:,} of {each.configuration['steps']:,} ({each.state})"
            parts.append(f"{names[each.configuration.key]}, {seeds}, {reached}")
    if parts:
        more = f"; and {len(parts) - MAX_NAMED} more" if len(parts) > MAX_NAMED else ""
        notes.append(f"{where}: drawn, but not complete: {'; '.join(parts[:MAX_NAMED])}{more}")
    return notes
