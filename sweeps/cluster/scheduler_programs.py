"""The schedulers' own programs: run one, take its answer, or its trouble in one line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from sweeps.errors import SchedulerError

SECONDS = 60.0
LONGEST = 400  # characters of what a program says of its trouble


def answer(*command: str) -> str:
    """Run a program and return its standard output; raises SchedulerError if it is missing, fails or hangs."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except OSError as error:
        raise SchedulerError(f"{name}: cannot be run here: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(f"{name}: no answer within {SECONDS:g} s") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
        said = raised[-1] if raised else "; ".join(lines)  # of a traceback only what it is about
        raise SchedulerError(f"{said[:LONGEST] or f'exit status {done.returncode}'} ({name})")
    return done.stdout
