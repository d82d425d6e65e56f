"""The loggers of a sweep at work: every ended cell of the ledger becomes a run, whoever trained it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType

from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.claims import Claim, HeldError
from sweeps.ledger.ledger import Ledger, Record
from sweeps.loggers.base import Logger
from sweeps.loggers.registry import open_loggers

WAIT_SECONDS = 60.0  # for another process that writes its runs into the same directory


class Journal:
    """Open loggers, as a context: on entry it catches up with the ledger, then `write` adds cells as they end.

    One process at a time writes the runs of a directory. A logger that fails is named once and left out from then
    on; the sweep goes on, and the next journal catches up. Without names it does nothing. Raises SpecError where a
    logger cannot be opened, HeldError where another process writes for over a minute.
    """

    def __init__(self, names: Sequence[str], ledger: Ledger, note: Callable[[str], None]) -> None:
        self.names, self.ledger, self.note = names, ledger, note
        self._loggers: list[tuple[str, Logger]] = []
        self._held = ExitStack()

    def __enter__(self) -> Journal:
        if self.names:
            self._hold()
            try:
                loggers = open_loggers(self.names, self.ledger.root)
            except BaseException:
                self._held.close()
                raise
            self._loggers = list(zip(dict.fromkeys(self.names), loggers, strict=True))
            for record in self.ledger.records():
                self.write(record)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for name, logger in self._loggers:
            try:
                logger.close()
            except (OSError, RuntimeError) as trouble:
                self.note(f"log: {name} did not close: {_line(trouble)}")
        self._held.close()

    def write(self, record: Record) -> None:
        """Write the run of a cell that has ended, to every logger that still works."""
        if record.state == "pending" or not self._loggers:
            return
        try:
            history = self.ledger.history(record.cell.id)
        except DamagedFileError:
            history = []
        for entry in list(self._loggers):
            name, logger = entry
            try:
                logger.log(record, history)
            except Exception as error:  # whatever a package raises must not stop the sweep
                self._loggers.remove(entry)
                self.note(f"log: {name} stopped writing: {_line(error)}; the same command later catches up")

    def _hold(self) -> None:
        began = time.monotonic()
        while True:
            try:
                self._held.enter_context(Claim(self.ledger.root / "logs" / "claim"))
            except HeldError:
                if time.monotonic() - began > WAIT_SECONDS:
                    raise
                time.sleep(1)
            else:
                return


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
