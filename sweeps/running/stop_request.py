"""Whether a run was asked to stop: by a signal to this process, or by a file that others can see.

A driver takes SIGINT and SIGTERM: the first touches the file, which its workers watch on whatever host they are, so
that each writes a checkpoint; the second ends the process at once. A worker without Ray takes SIGUSR1 as well, which
schedulers can send before a time limit.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

DRIVER_SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORKER_SIGNALS = (*DRIVER_SIGNALS, signal.SIGUSR1)
LAST_SECONDS = 19.0  # until a driver leaves in any case: a Ray that got the signal too can keep it waiting for a minute


class StopRequest:
    """Calling it says whether a stop was asked for. As a context it takes `signals`, and puts the handlers back.

    file: read by everybody who watches this request, and touched when it is made; None where no other process watches.
    hurried: the second signal ends the process at once, and so does a process that has not left LAST_SECONDS after
    the first. signal: the first signal that came, None without one.
    """

    def __init__(self, file: Path | None = None, signals: Sequence[int] = (), hurried: bool = False) -> None:
        self.file, self.signals, self.hurried = file, tuple(signals), hurried
        self.signal: int | None = None
        self._made = threading.Event()
        self._before: dict[int, Any] = {}
        self._last: threading.Timer | None = None

    def __call__(self) -> bool:
        """Whether a stop was asked for, here or by whoever touched the file."""
        return self._made.is_set() or (self.file is not None and self.file.exists())

    def make(self) -> None:
        """Ask everybody who watches to stop."""
        self._made.set()
        if self.file is not None:
            with suppress(OSError):  # on a full disk workers are stopped without a checkpoint
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch()

    def wait(self, seconds: float) -> None:
        """Wait that long, or until a signal asks to stop."""
        self._made.wait(seconds)

    def install(self) -> None:
        """Take the signals (again: Ray puts handlers of its own in their place as it starts)."""
        for number in self.signals:
            signal.signal(number, self._on_signal)

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.getsignal(number) for number in self.signals}
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._last is not None:
            self._last.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if self.hurried:
                _leave(number)
            return
        self.signal = number
        self.make()
        if self.hurried:
            self._last = threading.Timer(LAST_SECONDS, _leave, [number])
            self._last.daemon = True
            self._last.start()

    def __getstate__(self) -> dict[str, Any]:  # Ray pickles whatever its callbacks refer to
        return {"file": self.file, "signals": self.signals, "hurried": self.hurried, "signal": self.signal}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["file"], state["signals"], state["hurried"])  # type: ignore[misc]
        self.signal = state["signal"]


def _leave(number: int) -> None:
    os.write(2, b"stopped at once; run the same command again to resume from the last checkpoints\n")
    os._exit(128 + number)
