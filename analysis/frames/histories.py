"""history.csv of cells -> one frame per cell: the unsmoothed model on validation images, while it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.frames.gather import results_directories, shortened
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.ledger import Ledger

FILE = "history.csv"
METRICS = ("elbo", "kl_top")
COLUMNS = ("step", *METRICS)


def histories(directories: Sequence[Path], frame: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the histories of a gathered frame's cells from the directories that it was gathered from.

    Returns by cell id, for those that have any, the columns step, elbo and kl_top (nats per example), and a line on
    every damaged file, which counts as absent. Rows with a number that is not finite, as a diverging cell has them,
    are left out. Where several directories hold a cell in the frame's state, the first longest history is taken.
    """
    states = dict(zip(frame["cell_id"], frame["state"], strict=True))
    found: dict[str, pd.DataFrame] = {}
    notes: list[str] = []
    below = [directory for given in directories for directory in results_directories(given)]
    for directory in {path.resolve(): path for path in below}.values():
        ledger, damaged = Ledger(directory), list[str]()
        for cell_id in ledger.cell_ids():
            try:
                record = ledger.record(cell_id) if cell_id in states else None
            except DamagedFileError:
                continue  # gathering has named it, like a history that its result does not know
            if record is None or record.state != states[cell_id] or any(d.path.name == FILE for d in record.damage):
                continue
            try:
                history = _history(ledger, cell_id)
            except DamagedFileError as error:
                damaged.append(f"{error}; left out")
                continue
            if len(history) > len(found.get(cell_id, ())):
                found[cell_id] = history
        notes += shortened(damaged, directory)
    return found, notes


def _history(ledger: Ledger, cell_id: str) -> pd.DataFrame:
    rows = ledger.history(cell_id)
    missing = [name for name in COLUMNS if rows and name not in rows[0]]
    if missing:
        raise DamagedFileError(ledger.cell_path(cell_id) / FILE, f"has no column {missing[0]}")
    table = pd.DataFrame([[row[name] for name in COLUMNS] for row in rows], columns=list(COLUMNS), dtype="float64")
    if not all(one < other for one, other in pairwise(table["step"])):
        raise DamagedFileError(ledger.cell_path(cell_id) / FILE, "its steps do not ascend")
    finite: pd.DataFrame = table[np.isfinite(table.to_numpy()).all(axis=1)].reset_index(drop=True)
    return finite.assign(step=finite["step"].astype("int64"))
