"""results.csv and results.parquet of a results directory, kept up to date while its cells end."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from analysis.frames.csv_text import csv_bytes, without_unused
from analysis.frames.gather import gather
from sweeps.errors import NothingError
from sweeps.ledger.atomic_files import write_bytes
from sweeps.ledger.ledger import LedgerError

EVERY_SECONDS = 30.0  # at most, while a sweep runs
SHARE = 0.02  # of the time of a run that the tables may take


def write_tables(directory: Path, frame: pd.DataFrame) -> list[Path]:
    """Write results.csv and results.parquet, each whole or not at all; returns their paths.

    Floats are written in their shortest form that reads back exactly; missing values are empty.
    """
    parquet = io.BytesIO()
    without_unused(frame).to_parquet(parquet, index=False)
    paths = [directory / "results.csv", directory / "results.parquet"]
    write_bytes(paths[0], csv_bytes(frame))
    write_bytes(paths[1], parquet.getvalue())
    return paths


class ResultsTable:
    """Writes the tables of a directory: now and then as cells end, and once more at the end with what was left out.

    The tables only repeat what the records say, so trouble with them is a line to `say` and stops nothing.
    """

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root, self.say = root, say
        self._stale, self._due = False, 0.0

    def follow(self, ended: int) -> None:
        """Note that so many cells have ended, perhaps none; write where some have and the last writing is long ago."""
        self._stale |= ended > 0
        began = time.monotonic()
        if not self._stale or began < self._due:
            return
        with suppress(OSError, NothingError, LedgerError):  # the last writing says what is wrong
            write_tables(self.root, gather([self.root]).frame)
        now = time.monotonic()
        self._stale, self._due = False, now + max(EVERY_SECONDS, (now - began) / SHARE)

    def write(self) -> None:
        """Write the tables and say what was left out of them."""
        gathered = gather([self.root])
        for note in gathered.notes:
            self.say(note)
        try:
            write_tables(self.root, gathered.frame)
        except OSError as error:
            self.say(f"results.csv and results.parquet were not written: {error}")
