"""What a request still needs: its grid minus what the results directory already holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hvae_core.spec import SpecError
from sweeps.cell import Cell
from sweeps.files import DamagedFileError
from sweeps.grid import DataSource, SweepSpec
from sweeps.ledger import Ledger, Pack, State
from sweeps.packing import plan_packs, recorded_packs


@dataclass(frozen=True)
class Plan:
    """A request against a results directory: all its cells, and their states when it was planned."""

    spec: SweepSpec
    cells: tuple[Cell, ...]
    states: Mapping[str, State]
    known: frozenset[str]  # ids of cells that were planned before
    retry: tuple[str, ...]  # failed or diverged cells to run again

    @property
    def pending(self) -> list[Cell]:
        """Cells that this request has to train."""
        return [cell for cell in self.cells if self.states[cell.id] == "pending" or cell.id in self.retry]

    def counts(self) -> dict[str, int]:
        """Count cells: new, pending from before, complete, failed, diverged, and the total."""
        states = Counter("new" if cell.id not in self.known else self.states[cell.id] for cell in self.cells)
        return {**{name: states[name] for name in ("new", "pending", "complete", "failed", "diverged")}} | {
            "total": len(self.cells)
        }

    def packs(self, ledger: Ledger, size: int | None, slots: int) -> list[Pack]:
        """Choose the packs that train the pending cells: those recorded for them before, and new ones for the rest."""
        pending = {cell.id for cell in self.pending}
        old = recorded_packs(self.pending, ledger.packs(), pending)
        covered = {cell for pack in old for cell in pack.cells}
        rest = [cell for cell in self.pending if cell.id not in covered]
        return old + plan_packs(rest, size, max(1, slots - len(old)))


def plan_sweep(ledger: Ledger, spec: SweepSpec, retry_failed: bool = False) -> Plan:
    """Compare a request with its directory; raises SpecError if a data set would now resolve differently."""
    check_pinned(spec.data, ledger.requests())
    cells = tuple(spec.cells())
    states: dict[str, State] = {}
    known = set()
    for cell in cells:
        try:
            record = ledger.record(cell.id)
        except DamagedFileError:
            record = None
        states[cell.id] = "pending" if record is None else record.state
        if record is not None:
            known.add(cell.id)
    retry = tuple(cell.id for cell in cells if retry_failed and states[cell.id] in ("failed", "diverged"))
    return Plan(spec, cells, states, frozenset(known), retry)


def check_pinned(data: Sequence[DataSource], requests: Sequence[Mapping[str, Any]]) -> None:
    """Hold a data set's name to what it meant in this directory before; raises SpecError otherwise."""
    for request in requests:
        for earlier in request["request"]["data"]:
            for now in data:
                same = (earlier.get("asked"), earlier.get("binarise")) == (now.asked, now.binarise)
                if same and earlier.get("checksum") != now.checksum:
                    was = f"{earlier.get('source')} ({str(earlier.get('checksum'))[:12]})"
                    raise SpecError(
                        f"datasets: {now.asked!r} meant {was} in this results directory and would now mean "
                        f"{now.source} ({now.checksum[:12]}); name the source, or use another --out"
                    )


def request_entry(spec: SweepSpec, packs: Sequence[Pack], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of sweep.json: the resolved request, how it is run, and the planned packs."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": spec.to_dict(),
        "settings": dict(settings),
        "packs": [list(pack.cells) for pack in packs],
    }
