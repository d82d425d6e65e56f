"""How far a pack in training is and how fast it goes: packs/<id>/progress.json, written about once a second."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.durations import time_left
from sweeps.ledger.atomic_files import DamagedFileError, read_json, write_json

FILE = "progress.json"


@dataclass(frozen=True)
class Pace:
    """Step of steps, and steps per second over the last half minute (0: not known yet); members step together.

    resumed_at is the step that this worker took the pack up at.
    """

    step: int
    steps: int
    members: int
    steps_per_second: float
    resumed_at: int = 0

    def line(self) -> str:
        """Say it for a person."""
        models = f"{self.members} model{'s' if self.members > 1 else ''}"
        resumed = f" (resumed at {self.resumed_at:,})" if self.resumed_at else ""
        rate = self.steps_per_second
        left = (self.steps - self.step) / rate if rate > 0 else None if self.step < self.steps else 0.0
        speed = f"{self.members * rate:,.0f} model-steps/s, " if rate > 0 else ""
        return f"{models}, step {self.step:,} of {self.steps:,}{resumed}, {speed}{time_left(left)}"

    def write(self, folder: Path) -> None:
        """Write it down; not flushed to disk, since nothing depends on it."""
        write_json(folder / FILE, asdict(self), durable=False)

    @classmethod
    def read(cls, folder: Path) -> Pace | None:
        """Return what a pack's folder says, or None where it says nothing usable."""
        try:
            facts = read_json(folder / FILE)
        except DamagedFileError:
            return None
        match facts:
            case {"step": int(step), "steps": int(steps), "members": int(members), "steps_per_second": float(rate)}:
                sane = 0 <= step <= steps <= 10**9 and 0 < members < 10**9 and math.isfinite(rate) and rate >= 0
                resumed = (facts or {}).get("resumed_at", 0)
                known = resumed if isinstance(resumed, int) and 0 <= resumed <= step else 0
                return cls(step, steps, members, rate, known) if sane else None
        return None


def checkpointed(folder: Path) -> int:
    """Step of the newest checkpoint in a pack's folder; 0 if there is none."""
    steps = [path.name.partition("-")[2] for path in folder.glob("checkpoint-*")]
    return max((int(step) for step in steps if step.isdecimal()), default=0)
