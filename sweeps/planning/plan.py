"""What a request still needs: its grid minus what the results directory already holds."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from hvae_core.checks import SpecError
from hvae_core.image import ImageSpec
from hvae_core.training.memory import member_bytes
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.ledger import Ledger, Pack, State
from sweeps.ledger.recorded_packs import recorded_packs
from sweeps.planning.packing import MAX_MEMBERS, plan_packs
from sweeps.planning.resources import Resources

Found = State | Literal["new", "stale"]
FOUND: tuple[Found, ...] = ("new", "pending", "complete", "failed", "diverged", "stale")
ONE_CORE = Resources(cpus=1, gpus=0, slots=1)
LARGE_TENSOR = 2**25  # bytes; beyond, a CPU's memory is given back and fetched anew at every step
TO_TRAIN: tuple[Found, ...] = ("new", "pending", "stale")


@dataclass(frozen=True)
class Plan:
    """A request against a results directory: all its cells, and what the directory held of each when it was planned.

    new: not planned before. pending: planned, not done. stale: done or planned, but with a file that is damaged or of
    another version; it is set aside and the cell trained again.
    """

    spec: SweepSpec
    cells: tuple[Cell, ...]
    found: Mapping[str, Found]
    retry: tuple[str, ...]  # failed or diverged cells to run again

    @property
    def pending(self) -> list[Cell]:
        """Cells that this request has to train."""
        return [cell for cell in self.cells if self.found[cell.id] in TO_TRAIN or cell.id in self.retry]

    def counts(self, cells: Iterable[Cell] | None = None) -> dict[str, int]:
        """Count cells (all of the request's): the total, and by what was found."""
        found = [self.found[cell.id] for cell in (self.cells if cells is None else cells)]
        return {"cells": len(found), **{name: found.count(name) for name in FOUND}}

    def table(self) -> list[str]:
        """Return the counts of each data set and model as aligned lines, under a heading."""
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault((f"{cell.dataset}:{cell.source}", cell.model.name), []).append(cell)
        rows = [("data", "model", "cells", *FOUND)]
        rows += [(*key, *map(str, self.counts(cells).values())) for key, cells in groups.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        sides = [str.ljust, str.ljust, *[str.rjust] * (len(rows[0]) - 2)]
        return ["  ".join(side(word, n) for side, word, n in zip(sides, row, widths, strict=True)) for row in rows]

    def packs(self, ledger: Ledger, size: int | None = None, resources: Resources = ONE_CORE) -> list[Pack]:
        """Choose the packs that train the pending cells: those recorded for them before, and new ones for the rest.

        A GPU, which small packs leave idle, gets the seeds of a model together.
        """
        old = recorded_packs(ledger.packs(), {cell.id for cell in self.pending})
        covered = {cell for pack in old for cell in pack.cells}
        rest = [cell for cell in self.pending if cell.id not in covered]
        captured = resources.gpus > 0
        images = {data.checksum: data.image for data in self.spec.data}

        def room(cell: Cell) -> int:
            most = MAX_MEMBERS
            if not captured and (floats := cell.model.hidden_floats):
                rows = cell.train.batch_size * cell.member.objective.ou_samples
                most = min(most, max(1, LARGE_TENSOR // (4 * rows * floats)))
            if resources.memory is None:
                return most
            each = member_bytes(cell.model, cell.member.objective, cell.train, images[cell.checksum], captured)
            if each > resources.memory:
                raise SpecError(too_large(cell, images[cell.checksum], captured, each, resources.memory))
            return min(most, resources.memory // each)

        return old + plan_packs(rest, size, max(1, resources.slots - len(old)), room, across_seeds=captured)

    def cells_of_earlier_requests(self, ledger: Ledger, packs: Sequence[Pack]) -> list[str]:
        """Return the pending cells that this request does not ask for, but that share a recorded pack with its own."""
        requested = {cell.id for cell in self.cells}
        others = dict.fromkeys(cell for pack in packs for cell in pack.cells if cell not in requested)
        return [cell for cell in others if ledger.state(cell) == "pending"]


def too_large(cell: Cell, image: ImageSpec, captured: bool, needed: int, memory: int) -> str:
    """Say what one model needs by the estimate, what there is, and the largest minibatch that would fit."""

    def fits(batch: int) -> bool:
        train = replace(cell.train, batch_size=batch)
        return member_bytes(cell.model, cell.member.objective, train, image, captured) <= memory

    batches = range(1, cell.train.batch_size)
    largest = bisect.bisect_left(batches, True, key=lambda batch: not fits(batch))
    advice = f"--batch-size {largest} would fit" if largest else "not even a minibatch of one image fits"
    return (
        f"model: {cell.model.name!r} ({cell.member.objective.label}, batch {cell.train.batch_size}) needs up to "
        f"{needed / 2**30:.1f} GiB, a trial has {memory / 2**30:.1f} GiB; {advice}, --pack 1 tries it all the same"
    )


def plan_sweep(ledger: Ledger, spec: SweepSpec, retry_failed: bool = False) -> Plan:
    """Compare a request with its directory; raises SpecError if a data set would now resolve differently."""
    check_pinned(spec.data, ledger.requests())
    cells = tuple(spec.cells())
    found = {cell.id: _found(ledger, cell) for cell in cells}
    retry = tuple(cell.id for cell in cells if retry_failed and found[cell.id] in ("failed", "diverged"))
    return Plan(spec, cells, found, retry)


def _found(ledger: Ledger, cell: Cell) -> Found:
    try:
        record = ledger.record(cell.id)
    except DamagedFileError:
        return "stale"
    if record is None:
        return "stale" if (ledger.cell_path(cell.id) / "result.json").exists() else "new"
    return "stale" if record.damage else record.state


def check_pinned(data: Sequence[DataSource], requests: Sequence[Mapping[str, Any]]) -> None:
    """Hold a data set's name to what it meant in this directory before; raises SpecError otherwise."""
    for request in requests:
        for earlier in request["request"]["data"]:
            for now in data:
                same = (earlier.get("asked"), earlier.get("binarise")) == (now.asked, now.binarise)
                if same and earlier.get("checksum") != now.checksum:
                    was = f"{earlier.get('source')} ({str(earlier.get('checksum'))[:12]})"
                    advice = "use another --out" if now.source == "npz" else "name the source, or use another --out"
                    raise SpecError(
                        f"datasets: {now.asked!r} meant {was} in this results directory and would now mean "
                        f"{now.source} ({now.checksum[:12]}); {advice}"
                    )


def request_entry(spec: SweepSpec, packs: Sequence[Pack], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of sweep.json: the resolved request, how it is run, and the planned packs."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": spec.to_dict(),
        "settings": dict(settings),
        "packs": [list(pack.cells) for pack in packs],
    }
