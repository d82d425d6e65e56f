"""The schedulers' own programs: run one, take its answer, or its trouble in one line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from sweeps.errors import SchedulerError

SECONDS = 60.0
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")  # where Slurm is, not what job this is
LONGEST = 400  # characters of what a program says of its trouble


def answer(*command: str) -> str:
    """Run a program and return its standard output; raises SchedulerError if it is missing, fails or hangs.

    What describes a job that surrounds us is kept from it: sbatch would take it for wishes, and hand it on.
    """
    name = Path(command[0]).name
    environment = {key: value for key, value in os.environ.items() if key in KEPT or not key.startswith("SLURM_")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env=environment,
        )
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
