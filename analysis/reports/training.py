"""From results directories to the training figure on disk, with the csv file behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.figures.training import draw_training
from analysis.figures.training_layout import left_out
from analysis.frames.configurations import Configuration, configurations
from analysis.frames.gather import GatherError, gather
from analysis.frames.histories import histories
from analysis.frames.select import keep_only
from analysis.reports.output import write_files
from analysis.reports.report import Report
from analysis.summaries.trajectories import LEAST, Trajectory, tabulate, trajectories
from analysis.words.incomplete import counted
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


def training(
    directories: Sequence[Path],
    out: Path | None = None,
    formats: Sequence[str] = ("png", "pdf"),
    title: bool = True,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    rhos: Sequence[float] = (),
) -> Report:
    """Gather results directories and write `training.png|pdf|svg` and `training.csv`.

    They go to `<first directory>/figures` unless `out` says otherwise. `datasets` (each `name` or `name:source`),
    `models` and `rhos` keep only those; none keeps all. The report's table and text have a row per curve: where it
    ends. Raises GatherError where there is nothing to plot, ValueError for an unknown format, OSError where nothing
    can be written.
    """
    gathered = gather(directories)
    frame = keep_only(gathered.frame, datasets, models, rhos)
    known, damaged = histories(directories, frame)
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    for each in configurations(frame):
        groups.setdefault(each.group, []).append(each)
    found = [curve for group in groups.values() for one in group for curve in trajectories(one, known)]
    if not found:
        raise GatherError(
            f"nothing to plot: none of {len(frame)} cells has {LEAST} evaluations in its history; {_ADVICE}"
        )
    directory = directories[0] / "figures" if out is None else out
    figure = draw_training(found, title=title)
    files = write_files(figure, directory, NAME, formats, {NAME: tabulate(found)})
    names = {
        one.key: ", ".join(words)
        for group in groups.values()
        for one, words in zip(group, words_of(group), strict=True)
    }
    ends = pd.concat([tabulate([each]).tail(1) for each in found], ignore_index=True)
    ends.insert(5, "curve", [names[each.configuration.key] for each in found])
    notes = [*gathered.notes, *damaged, *left_out(found)]
    for group in groups.values():
        notes += _incomplete(
            group, [each for each in found if each.configuration.group == group[0].group], names, known
        )
    return Report(files, notes, ends, ends[list(PRINTED)].to_string(index=False, float_format="%.2f"))


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
