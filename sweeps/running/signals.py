"""SIGINT and SIGTERM to a driver: the first asks everybody to write a checkpoint and stop, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_SECONDS = 19.0  # until a driver leaves in any case: a Ray that got the signal too can keep it waiting for a minute


class Interrupts:
    """As a context: notes the first signal and touches the file that the workers watch; puts the handlers back."""

    def __init__(self, stop_file: Path) -> None:
        self.stop_file = stop_file
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._last: threading.Timer | None = None

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._last is not None:
            self._last.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals (again: Ray puts handlers of its own in their place as it starts)."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def stop(self) -> None:
        """Ask the workers to stop."""
        with suppress(OSError):  # on a full disk they are stopped without a checkpoint
            self.stop_file.parent.mkdir(parents=True, exist_ok=True)
            self.stop_file.touch()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            _leave(number)
        self.signal = number
        self.stop()
        self._last = threading.Timer(LAST_SECONDS, _leave, [number])
        self._last.daemon = True
        self._last.start()

    def __getstate__(self) -> dict[str, Any]:  # Ray pickles whatever its callbacks refer to
        return {**self.__dict__, "_before": {}, "_last": None}


def _leave(number: int) -> None:
    os.write(2, b"stopped at once; the same command goes on from the last checkpoints\n")
    os._exit(128 + number)
