"""Ray's job submission, where a dashboard runs: `ray job` finds it by RAY_ADDRESS, http://HOST:8265.

Needs ray[default] here and there. The command runs on the cluster's head, in the directory from which it was sent.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.cluster.own_programs import COMMAND, ray_program
from sweeps.cluster.scheduler_programs import answer
from sweeps.errors import SchedulerError

STATES = ("pending", "running", "stopped", "succeeded", "failed")


def script(words: Sequence[str]) -> str:
    """Write what the job runs: the request's own command, inside the Ray that takes it."""
    return f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join([*COMMAND, *words, '--address', 'auto'])}\n"


def submit(name: str, script: Path, options: Mapping[str, str | None]) -> str:
    """Submit a script as a job of this name and return the name; raises SchedulerError."""
    given = [f"--{key}" if value is None else f"--{key}={value}" for key, value in options.items()]
    answer(ray_program(), "job", "submit", "--no-wait", f"--submission-id={name}", *given, "--", "bash", str(script))
    return name


def state(name: str) -> str:
    """Return what Ray says of a job, in lower case; raises SchedulerError."""
    said = answer(ray_program(), "job", "status", name).lower().rpartition(f"'{name.lower()}'")[2]
    found = re.search("|".join(STATES), said)
    if found is None:
        raise SchedulerError(f"ray: no state of {name} in its answer")
    return found[0]


def cancel(name: str) -> None:
    """Stop a job; raises SchedulerError."""
    answer(ray_program(), "job", "stop", "--no-wait", name)
