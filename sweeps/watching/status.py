"""What a results directory holds and what is going on in it, read from its files alone: any machine may ask."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeps.durations import duration, percent, time_left
from sweeps.grid.cell import Cell
from sweeps.ledger.claims import Holder, holder_of
from sweeps.ledger.ledger import Ledger, Pack, Record, State
from sweeps.ledger.pack_progress import Pace, checkpointed
from sweeps.ledger.recorded_packs import recorded_packs
from sweeps.ledger.validation import is_untrained

STATES: tuple[State, ...] = ("complete", "failed", "diverged", "pending")
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-:=+*#"
MAX_POINTS = 60  # of a curve in one line


@dataclass(frozen=True)
class Curve:
    """The cells that differ in rho and seed alone; `packs` has a line for each pack of them in training.

    counts: cells by state. running: packs that a live process trains. eta_seconds: None where nothing runs or its
    speed is not known yet, 0 where all steps are done and the models are evaluated. steps_done: share of the steps of
    pending cells that is done. last_activity: seconds since a file of these cells was written, None if none was.
    kl_top: median over seeds in nats per image by rho, ascending; None where no cell is complete. untrained: complete
    cells that are worse than independent pixels.
    """

    name: str
    counts: dict[State, int]
    running: int
    eta_seconds: float | None
    last_activity: float | None
    kl_top: list[tuple[float, float | None]]
    untrained: int = 0
    steps_done: float = 0.0
    packs: tuple[str, ...] = ()

    def lines(self, blocks: str) -> list[str]:
        """Lines for a person: counts, top KL over rho, packs; `blocks` are eight characters of rising height."""
        done = ", ".join(f"{n} {state}" for state, n in self.counts.items() if n)
        done += f" ({self.untrained} worse than independent pixels)" if self.untrained else ""
        done += f" ({percent(self.steps_done)} of their steps done)" if self.steps_done > 0 else ""
        when = "" if self.last_activity is None else f"; last activity {duration(self.last_activity)} ago"
        eta = f"; {time_left(self.eta_seconds)}" if self.running else ""
        values = [kl for _, kl in self.kl_top if kl is not None]
        packs = [f"    {line}" for line in self.packs]
        if not values:
            return [f"{self.name}: {done}{eta}{when}", *packs]
        (low, _), (high, _) = self.kl_top[0], self.kl_top[-1]
        curve = f"top KL {values[0]:.3g} {_sparkline([kl for _, kl in self.kl_top], blocks)} {values[-1]:.3g} nats"
        return [f"{self.name}: {done}{eta}{when}", f"    {curve}, rho {low:g} to {high:g}", *packs]


@dataclass(frozen=True)
class Status:
    """A whole directory: who runs it (a driver), who trains packs of it, its curves, and what is damaged."""

    root: Path
    driver: Holder | None
    workers: list[Holder]
    curves: list[Curve]
    damaged: list[str]

    @property
    def pending(self) -> int:
        """Cells that are still to be trained."""
        return sum(curve.counts["pending"] for curve in self.curves)

    def lines(self, unicode: bool = True, jobs: Sequence[str] = ()) -> list[str]:
        """Return the whole, with what schedulers say, for a person whose terminal may not have the block characters."""
        blocks = BLOCKS if unicode else ASCII_BLOCKS
        total = sum(sum(curve.counts.values()) for curve in self.curves)
        by = [f"run by {self.driver}"] if self.driver else []
        hosts = sorted({worker.host for worker in self.workers})
        packs = "1 pack" if len(self.workers) == 1 else f"{len(self.workers)} packs"
        by += [f"{packs} in training on {', '.join(hosts)}"] if self.workers else []
        head = f"{self.root}: {total} cells; {', '.join(by) or 'no process is running'}"
        damaged = [f"damaged: {line}" for line in self.damaged[:5]]
        return [head, *jobs, *(line for curve in self.curves for line in curve.lines(blocks)), *damaged]

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return {**asdict(self), "root": str(self.root)}


def read_status(ledger: Ledger) -> Status:
    """Read a results directory; raises LedgerError if it is of another version."""
    requests = ledger.requests()
    damaged: list[str] = []
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in ledger.records(damaged):
        groups.setdefault(tuple(_declared(record.cell).values()), []).append(record)
    waiting = [record.cell for group in groups.values() for record in group if record.state == "pending"]
    packs = recorded_packs(ledger.packs(requests), {cell.id for cell in waiting})
    holders = {pack.id: holder for pack in packs if (holder := holder_of(ledger.pack_path(pack.id) / "claim"))}
    curves = []
    names = _names([_declared(group[0].cell) for group in groups.values()])
    for name, group in zip(names, groups.values(), strict=True):
        ids = {record.cell.id for record in group}
        own = [pack for pack in packs if not ids.isdisjoint(pack.cells)]
        curves.append(_curve(ledger, name, group, own, set(holders)))
    return Status(ledger.root, holder_of(ledger.root / "claim"), list(holders.values()), curves, damaged)


def _curve(ledger: Ledger, name: str, group: Sequence[Record], packs: Sequence[Pack], live: set[str]) -> Curve:
    steps = group[0].cell.train.steps
    left = rate = planned = 0.0
    lines = []
    for pack in packs:
        planned += len(pack.cells) * steps
        pace = Pace.read(ledger.pack_path(pack.id)) if pack.id in live else None
        left += len(pack.cells) * (steps - (pace.step if pace else checkpointed(ledger.pack_path(pack.id))))
        rate += len(pack.cells) * (pace.steps_per_second if pace else 0.0)
        lines += [f"pack {pack.id[:8]}: {pace.line()}"] if pace else []
    running = sum(pack.id in live for pack in packs)
    eta = 0.0 if left == 0 else left / rate if rate > 0 else None
    states = [record.state for record in group]
    by_rho: dict[float, list[float]] = {}
    for record in group:
        found = by_rho.setdefault(record.cell.member.objective.rho, [])
        if record.result is not None:
            found.append(record.result["kl_top"])
    return Curve(
        name=name,
        counts={state: states.count(state) for state in STATES},
        running=running,
        eta_seconds=eta if running else None,
        last_activity=_since(_activity(ledger, group, packs)),
        kl_top=[(rho, statistics.median(found) if found else None) for rho, found in sorted(by_rho.items())],
        steps_done=1 - left / planned if planned else 0.0,
        packs=tuple(lines),
        untrained=sum(record.result is not None and is_untrained(record.result) for record in group),
    )


def _activity(ledger: Ledger, group: Sequence[Record], packs: Sequence[Pack]) -> Iterable[Path]:
    for record in group:
        names = {"complete": ("result.json",), "pending": ("history.csv",)}.get(record.state, ("failure.json",))
        yield from (ledger.cell_path(record.cell.id) / name for name in names)
    for pack in packs:
        yield from (ledger.pack_path(pack.id) / name for name in ("progress.json", "claim"))


def _since(paths: Iterable[Path]) -> float | None:
    newest = None
    for path in paths:
        try:
            newest = max(newest or 0.0, path.lstat().st_mtime)
        except OSError:
            continue
    return None if newest is None else max(0.0, time.time() - newest)


def _declared(cell: Cell) -> dict[str, Any]:
    """Everything that a cell declares but rho and seed."""
    return {name: value for name, value in cell.row.items() if name not in ("rho", "seed", "method")}


def _names(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each group by data and model, and by whatever else is not the same in all of them."""
    always = ("dataset", "source", "checksum", "model", "family", "depth", "width")
    names = []
    for group in groups:
        vary = [name for name in group if name not in always and len({other[name] for other in groups}) > 1]
        own = [f"{name.replace('_', '-')} {group[name]}" for name in vary]
        names.append(", ".join([f"{group['dataset']}:{group['source']} {group['model']}", *own]))
    return names


def _sparkline(values: Sequence[float | None], blocks: str) -> str:
    """One character per value, from 0 to the largest; a space where there is none; neighbours merge in a long curve."""
    size = max(1, -(-len(values) // MAX_POINTS))
    merged = []
    for i in range(0, len(values), size):
        found = [value for value in values[i : i + size] if value is not None]
        merged.append(statistics.median(found) if found else None)
    top = max((value for value in merged if value is not None), default=0.0)
    level = [0 if not value or top <= 0 else round(max(value, 0.0) / top * (len(blocks) - 1)) for value in merged]
    return "".join(" " if value is None else blocks[i] for value, i in zip(merged, level, strict=True))
