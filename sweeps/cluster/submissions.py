"""What was submitted to schedulers, as the results directory remembers it, and what has become of it.

jobs/<name>/script.sh            what was submitted; may be edited and submitted again
           /submission.json      backend, the scheduler's id, number of elements, the request
           /*.log                what the job printed
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sweeps.cluster import ray_job, slurm
from sweeps.errors import SchedulerError
from sweeps.ledger.atomic_files import DamagedFileError, read_json, write_json
from sweeps.ledger.ledger import Ledger

Backend = Literal["slurm", "ray-job"]
BACKENDS: tuple[Backend, ...] = ("slurm", "ray-job")
OVER = {"completed", "failed", "cancelled", "timeout", "node_fail", "out_of_memory", "boot_fail", "deadline"}
OVER |= {"succeeded", "stopped", "ended"}
ASK_SECONDS = 30.0  # between questions to a scheduler, which all its users share
_NAME = re.compile(r"hvae-\d{8}T\d{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True)
class Submission:
    """A job: its unique name at the scheduler, the scheduler's id for it, its elements, and the request's words."""

    name: str
    backend: Backend
    elements: int
    request: tuple[str, ...]
    id: str = ""

    def write(self, ledger: Ledger) -> None:
        """Record it beside its script."""
        write_json(ledger.folder("jobs") / self.name / "submission.json", asdict(self))


@dataclass(frozen=True)
class JobState:
    """How many elements of a job are in which state; None where the scheduler does not say, and why."""

    submission: Submission
    states: dict[str, int] | None
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether any element may still run."""
        return self.states is None or not OVER.issuperset(self.states)

    def line(self) -> str:
        """One line for a person."""
        job = self.submission
        many = f" ({job.elements} elements)" if job.elements > 1 else ""
        what = f"{job.backend} job {job.id or job.name}{many}"
        if self.states is None:
            return f"{what}: state unknown here: {self.reason}"
        return f"{what}: {', '.join(f'{n} {state}' if many else state for state, n in self.states.items())}"

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return {**asdict(self.submission), "states": self.states}


def new_name() -> str:
    """Return a name that no other job has, on any cluster."""
    return f"hvae-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(3)}"


def submissions(ledger: Ledger) -> list[Submission]:
    """Return what was submitted, oldest first; folders that hold no submission of ours are passed over."""
    folder = ledger.folder("jobs")
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if _NAME.fullmatch(path.name) and not path.is_symlink():
            try:
                content = read_json(path / "submission.json")
            except DamagedFileError:
                continue
            match content:  # it may come from someone else
                case {
                    "backend": "slurm" | "ray-job" as backend,
                    "id": str(id_),
                    "elements": int(elements),
                    "request": list(words),
                }:
                    found.append(Submission(path.name, backend, elements, tuple(map(str, words)), id_))
    return found


def job_states(jobs: Sequence[Submission]) -> list[JobState]:
    """Ask the schedulers about jobs."""
    slurms = [job for job in jobs if job.backend == "slurm"]
    found = _slurm_states(slurms) if slurms else {}
    for job in jobs:
        if job.backend == "ray-job":
            try:
                found[job.name] = JobState(job, {ray_job.state(job.name): 1})
            except SchedulerError as error:
                found[job.name] = JobState(job, None, str(error))
    return [found[job.name] for job in jobs]


def _slurm_states(jobs: Sequence[Submission]) -> dict[str, JobState]:
    try:
        said = slurm.states([job.name for job in jobs])
    except SchedulerError as error:
        return {job.name: JobState(job, None, str(error)) for job in jobs}
    found = {}
    for job in jobs:
        states: Counter[str] = said[job.name]
        gone = job.elements - states.total()
        found[job.name] = JobState(job, dict(states) | ({"ended": gone} if gone > 0 else {}))
    return found


def cancel(job: Submission) -> None:
    """Stop a job; raises SchedulerError."""
    if job.backend == "slurm":
        slurm.cancel(job.name)
    else:
        ray_job.cancel(job.name)


class Queue:
    """The jobs of a directory for somebody who watches it: schedulers are asked now and then, not at every look."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._found: list[JobState] = []
        self._asked: float | None = None

    def look(self) -> list[JobState]:
        """Return every job that is known to run or wait, and the latest in any case."""
        if self._asked is None or time.monotonic() - self._asked > ASK_SECONDS:
            found = job_states(submissions(self.ledger))
            known = [state for state in found[:-1] if state.live and state.states is not None]
            self._found = known + found[-1:]
            self._asked = time.monotonic()
        return self._found
