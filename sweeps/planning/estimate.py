"""How long what is pending will take: from measured seconds per step, or unknown; never invented.

Measured on complete cells of the same shape (model, K, batch, precision, pixels) and device, or on a few timed steps
here. Training alone: starting up, evaluation and the final bound are not in it.
"""

from __future__ import annotations

import heapq
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any

from sweeps.durations import duration
from sweeps.grid.cell import Cell
from sweeps.ledger.atomic_files import is_finite
from sweeps.ledger.ledger import Ledger, Pack
from sweeps.ledger.pack_progress import checkpointed
from sweeps.planning.pack_options import PackOptions, load_data
from sweeps.planning.plan import Plan

PROBE_SECONDS = 2.0  # of timed steps, at least PROBE_STEPS of them
PROBE_STEPS = 3

Shape = tuple[object, ...]
Speeds = dict[Shape, list[tuple[int, float]]]  # (members of the pack, seconds per step and member)


@dataclass(frozen=True)
class Estimate:
    """Wall time with all slots busy, device-hours (GPUs or CPU trials), and what both rest on; None is unknown."""

    wall_seconds: float | None
    device_hours: float | None
    basis: str

    @property
    def line(self) -> str:
        """One line for a person."""
        if self.wall_seconds is None or self.device_hours is None:
            return f"unknown ({self.basis})"
        return f"{duration(self.wall_seconds)} of training, {self.device_hours:.2g} device-hours ({self.basis})"

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return asdict(self)


def estimate(
    ledger: Ledger, plan: Plan, packs: Sequence[Pack], slots: int, device: str, probed: Speeds | None = None
) -> Estimate:
    """Estimate the training time of these packs with `slots` of them at once on such a device.

    What complete cells took goes before what `probe` timed.
    """
    if not packs:
        return Estimate(0.0, 0.0, "nothing to train")
    pixels, cells = _pixels(ledger, plan), {cell.id: cell for cell in plan.cells}
    measured = _measured(ledger, pixels, device)
    seconds, used, missing = [], dict[str, None](), dict[str, None]()
    for pack in packs:
        cell = cells[next(i for i in pack.cells if i in cells)]
        shape = shape_of(cell, pixels)
        found = measured.get(shape) or (probed or {}).get(shape)
        if not found:
            missing[f"{cell.model.name}, batch {cell.train.batch_size}"] = None
            continue
        used["complete cells" if shape in measured else "timed steps"] = None
        left = cell.train.steps - checkpointed(ledger.pack_path(pack.id))
        seconds.append(len(pack.cells) * left * _rate(found, len(pack.cells)))
    if missing:
        more = f" and {len(missing) - 1} other shapes" if len(missing) > 1 else ""
        which = f"{next(iter(missing))}{more}"
        return Estimate(None, None, f"no complete cell of {which} on {device} yet; --probe times steps")
    return Estimate(_makespan(seconds, slots), sum(seconds) / 3600, f"from {' and '.join(used)} on {device}")


def probe(options: PackOptions, ledger: Ledger, plan: Plan, packs: Sequence[Pack], device: str) -> Speeds:
    """Time a few steps of each shape that no complete cell tells of, at the size of its largest pack.

    In a process of its own, so that neither its memory nor its CUDA context stays.
    """
    pixels, cells = _pixels(ledger, plan), {cell.id: cell for cell in plan.cells}
    known = _measured(ledger, pixels, device)
    largest: dict[Shape, list[Cell]] = {}
    for pack in packs:
        members = [cells[i] for i in pack.cells if i in cells]
        shape = shape_of(members[0], pixels)
        if shape not in known and len(members) > len(largest.get(shape, [])):
            largest[shape] = members
    speeds: Speeds = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        for shape, members in largest.items():
            try:
                seconds = child.submit(time_steps, options, [cell.config for cell in members]).result()
            except (BrokenProcessPool, RuntimeError, MemoryError):  # too large for this machine, most likely
                continue
            speeds[shape] = [(len(members), seconds / len(members))]
    return speeds


def time_steps(options: PackOptions, configs: Sequence[Mapping[str, Any]]) -> float:
    """Seconds per step of a stacked model of these cells, on the device of the options, after two steps to warm up."""
    import torch

    from hvae_core.training.trainer import PackTrainer

    torch.set_num_threads(options.threads)
    cells = [Cell.from_config(config) for config in configs]
    members = [cell.member for cell in cells]
    trainer = PackTrainer(
        cells[0].model, members, cells[0].train, load_data(options, cells[0]), torch.device(options.device)
    )
    for _ in range(2):
        trainer.advance()
    float(trainer.advance().sum())  # waits for a GPU
    start, steps = time.perf_counter(), 0
    while steps < PROBE_STEPS or time.perf_counter() - start < PROBE_SECONDS:
        trainer.advance()
        steps += 1
        if steps % PROBE_STEPS == 0:
            float(trainer.diverged.sum())
    float(trainer.diverged.sum())
    return (time.perf_counter() - start) / steps


def shape_of(cell: Cell, pixels: Mapping[str, int]) -> Shape:
    """Everything that the cost of a step depends on."""
    kind, train = cell.member.objective.kind, cell.train
    return (pixels.get(cell.checksum), cell.binarise, cell.model, kind, train.batch_size, train.precision)


def _pixels(ledger: Ledger, plan: Plan) -> dict[str, int]:
    earlier = [data for request in ledger.requests() for data in request["request"]["data"]]
    return {data["checksum"]: data.get("pixels") for data in earlier} | {d.checksum: d.pixels for d in plan.spec.data}


def _measured(ledger: Ledger, pixels: Mapping[str, int], device: str) -> Speeds:
    speeds: Speeds = {}
    for record in ledger.records(complete=True):
        match record.result:
            case {"seconds": float(seconds), "pack_size": int(size), "device": where} if where == device:
                if is_finite(seconds) and seconds > 0 and 0 < size < 10**9:
                    speed = (size, seconds / record.cell.train.steps)
                    speeds.setdefault(shape_of(record.cell, pixels), []).append(speed)
    return speeds


def _rate(speeds: Sequence[tuple[int, float]], size: int) -> float:
    """Seconds per step and member in a pack of that size: the median over packs of the nearest size."""
    nearest = min((abs(math.log(members / size)), members) for members, _ in speeds)[1]
    return statistics.median(rate for members, rate in speeds if members == nearest)


def _makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last pack ends if each free slot takes the next one."""
    ends = [0.0] * slots
    for each in seconds:
        heapq.heappush(ends, heapq.heappop(ends) + each)
    return max(ends)
