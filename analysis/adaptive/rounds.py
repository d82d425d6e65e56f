"""The rounds of an adaptive sweep, run one after the other or recorded for workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from analysis.adaptive.refine import Progress, Refinement
from sweeps.errors import COMPLETE, INCOMPLETE
from sweeps.ledger.claims import HeldError
from sweeps.planning.resources import planned_resources
from sweeps.running.driver import Driver, exit_status

RETRY_SECONDS = 3.0  # where another worker plans the same round


@dataclass(frozen=True)
class AdaptiveSweep:
    """A refinement, and the driver that carries out its rounds."""

    driver: Driver
    refinement: Refinement

    def progress(self) -> Progress:
        """Say where it stands."""
        return self.refinement.progress(self.driver.ledger)

    def run(self, probe_first: bool, follow: Callable[[int], None]) -> int:
        """Train round after round, `follow` as in Driver.run; returns the exit status of all, or of what stopped it."""
        while True:
            progress = self.progress()
            for line in progress.lines:
                self.driver.say(line)
            if not progress.pending:
                return exit_status(self.driver.ledger, progress.cells)
            for spec in progress.pending:
                code, _ = replace(self.driver, spec=spec).run(probe_first, follow)
                if code not in (COMPLETE, INCOMPLETE):
                    return code

    def record(self, workers: int | None = None) -> Progress:
        """Record what the current round still needs, for workers to take up."""
        progress = self.progress()
        for spec in progress.pending:
            replace(self.driver, spec=spec).record(planned_resources(self.driver.settings, workers))
        return progress


def plan_next(sweeps: Sequence[AdaptiveSweep], note: Callable[[str], None]) -> bool:
    """Record the next rounds where no other worker has; returns whether any of the sweeps has work left."""
    more = False
    for sweep in sweeps:
        progress = sweep.progress()
        more |= bool(progress.pending)
        planned = {cell for pack in sweep.driver.ledger.packs().values() for cell in pack.cells}
        if progress.pending and all(cell.id in planned for spec in progress.pending for cell in spec.cells()):
            continue  # another worker was faster
        try:
            sweep.record()
        except HeldError:  # another worker is at it
            time.sleep(RETRY_SECONDS)
            continue
        for line in progress.lines:
            note(line)
    return more
