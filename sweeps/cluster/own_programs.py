"""What a job calls: our command by the interpreter that runs now, and Ray's program, wherever pip has put it.

A console script need not lie beside the interpreter: with `pip install --user` or `--target` it does not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from sweeps.errors import SchedulerError

COMMAND = (sys.executable, "-P", "-m", "hvae_core.launch", "sweep")
CHECK_SECONDS = 120


def check_command() -> None:
    """Run the command as a job will, from a folder that helps nothing; raises SchedulerError where it does not run."""
    folder = sysconfig.get_path("stdlib")
    try:
        done = subprocess.run(
            [*COMMAND, "--version"], cwd=folder, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerError(f"{' '.join(COMMAND)}: does not run here, nor will it in a job: {error}") from error
    if done.returncode != 0 or not done.stdout.startswith("hvae-sweep"):
        last = (done.stderr.splitlines() or ["no reason given"])[-1]
        raise SchedulerError(f"{' '.join(COMMAND)}: does not run here, nor will it in a job: {last}")


def ray_program() -> str:
    """Find Ray's program; raises SchedulerError where there is none."""
    for folder in _folders():
        found = shutil.which("ray", path=folder)
        if found is not None:
            return found
    raise SchedulerError("ray: its program is neither beside the interpreter nor in the path")


def _folders() -> Iterator[str]:
    yield str(Path(sys.executable).parent)
    yield sysconfig.get_path("scripts")
    yield sysconfig.get_path("scripts", f"{os.name}_user")
    yield os.environ.get("PATH", os.defpath)
