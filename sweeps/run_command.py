"""A sweep from Python: the command `hvae-sweep` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hvae_core.checks import SpecError

USAGE, CELLS_FAILED = 2, 3


class SweepError(RuntimeError):
    """A sweep that did not end well: its exit status, and the last line of what it said."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(f"exit status {status}: {line}")
        self.status = status


def run(command: str = "rho", *, out: Path | str = "results", quiet: bool = False, **settings: Any) -> Path:
    """Start or resume a sweep as `hvae-sweep COMMAND` does; returns its results directory when it is complete.

    Settings are the command's options with _ for -: model="mlp4x16h64", rho=[0.8, 1], seeds=3, quick=True. What is
    None or False is left out. The same call again trains exactly what is missing. An interrupt stops it with a
    checkpoint. Progress goes to stderr unless quiet.

    Raises SpecError for a setting that is not allowed, SweepError where cells failed or the sweep did.
    """
    words = [sys.executable, "-P", "-m", "hvae_core.launch", "sweep", command, "--out", str(out)]
    for name, value in settings.items():
        words += _option(name, value)
    said: list[str] = []
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line.rstrip("\n"))
            if not quiet:
                print(line, end="", file=sys.stderr, flush=True)
    last = next((line for line in reversed(said) if line.strip()), "")
    if process.returncode == USAGE:
        raise SpecError(last.removeprefix("error: "))
    if process.returncode:
        raise SweepError(process.returncode, last)
    return Path(out)


def _option(name: str, value: Any) -> list[str]:
    """Write a setting as it is typed."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    values = value if isinstance(value, list | tuple | range) else [value]
    return [option, *map(str, values)]
