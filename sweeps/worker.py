"""Train one pack and write its records: what a Ray trial and a stand-alone worker both do.

claim -> load and check the data -> train -> measure on the test images -> one record per cell -> release
"""

from __future__ import annotations

import gc
import math
import re
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch

from hvae_core.checkpoint import remove_checkpoints
from hvae_core.data import DataError, Dataset, load_dataset
from hvae_core.evaluate import choose_examples, evaluate, importance_bound
from hvae_core.spec import SpecError
from hvae_core.train import Interrupted, PackTrainer, TrainedPack, train_pack
from sweeps import pace
from sweeps.cell import Cell
from sweeps.claims import Claim, HeldError
from sweeps.files import DamagedFileError
from sweeps.ledger import Ledger, LedgerError, Pack
from sweeps.pace import Pace
from sweeps.provenance import provenance
from sweeps.resources import usable_cpus

BOUND_SAMPLES = 100
CHECKPOINT_SECONDS = 30.0
LAST_LINES = 20

Outcome = Literal["complete", "failed", "held", "stopped"]


@dataclass(frozen=True)
class Job:
    """How packs are to be run: nothing here changes a number beyond rounding, but which test images L_100 uses."""

    root: str
    data_dir: str | None = None
    references: tuple[tuple[str, str], ...] = ()  # (content checksum, what loads it)
    eval_every: int = 0
    ll_examples: int = 500
    keep: Literal["weights", "none"] = "weights"
    device: str = "cpu"
    threads: int = 1
    stop_file: str | None = None
    options: tuple[tuple[str, Any], ...] = ()  # resources and the like, for the provenance record

    @classmethod
    def of(cls, root: Path, request: Mapping[str, Any], device: str = "cpu") -> Job:
        """Read how a recorded request is to be run."""
        settings, data = request["settings"], request["request"]["data"]
        return cls(
            root=str(root),
            data_dir=settings.get("data_dir"),
            references=tuple((source["checksum"], source["reference"]) for source in data),
            eval_every=settings.get("eval_every", cls.eval_every),
            ll_examples=settings.get("ll_examples", cls.ll_examples),
            keep=settings.get("keep", cls.keep),
            device=device,
            threads=max(1, min(settings.get("cpus_per_trial", 1), usable_cpus())) if device == "cpu" else 1,
        )


def jobs_by_data(ledger: Ledger, data_dir: Path | None = None, device: str = "cpu") -> dict[str, Job]:
    """Return how to load each data set that the directory's requests name, by the checksum of its content."""
    found: dict[str, Job] = {}
    for request in ledger.requests():
        job = Job.of(ledger.root, request, device)
        job = job if data_dir is None else replace(job, data_dir=str(data_dir))
        found |= {source["checksum"]: job for source in request["request"]["data"]}
    return found


def tidy(ledger: Ledger) -> None:
    """Remove what is left of packs whose cells have all ended and that nobody holds: of workers killed at the end."""
    for pack in ledger.packs().values():
        folder = ledger.pack_path(pack.id)
        if folder.is_dir() and all(ledger.state(cell) != "pending" for cell in pack.cells):
            with suppress(HeldError, OSError), Claim(folder / "claim"):
                remove_checkpoints(folder)
                (folder / pace.FILE).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def run_pack(
    job: Job,
    pack: Pack,
    should_stop: Callable[[], bool] | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train a pack to the end and record every cell; an error becomes the failure record of its cells.

    Damaged files in its way are set aside with a line to `note`. Returns what happened: complete, failed (some cell
    failed or diverged and is recorded as such), held (another live process has the claim), stopped (asked to,
    checkpoint written). Raises OSError, DataError, LedgerError or SpecError where disk, data, records
    or what this machine cannot do are the trouble.
    """
    ledger = Ledger(Path(job.root))
    folder = ledger.pack_path(pack.id)
    stop_file = Path(job.stop_file) if job.stop_file else None

    def stop() -> bool:
        return bool((stop_file and stop_file.exists()) or (should_stop and should_stop()))

    if stop():
        return "stopped"
    try:
        with Claim(folder / "claim") as claim:
            open_cells = [cell for cell in pack.cells if ledger.state(cell) == "pending"]
            if not open_cells:
                remove_checkpoints(folder)
                return "complete"
            try:
                _train_and_record(job, ledger, pack, open_cells, claim, stop, note)
            except Interrupted:
                return "stopped" if claim.mine() else "held"
            except (OSError, DataError, LedgerError, SpecError):
                raise  # the machine's trouble, not the cells': they stay pending
            except Exception:  # whatever else training raises must not stop the sweep: recorded with its last lines
                lines = traceback.format_exc().splitlines()[-LAST_LINES:]
                for cell in open_cells:
                    if ledger.state(cell) == "pending":
                        ledger.fail(cell, "error", lines)
                return "failed"
            remove_checkpoints(folder)
            (folder / pace.FILE).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()  # only if empty: another worker may be looking in
    except HeldError:
        return "held"
    return "complete" if all(ledger.state(cell) == "complete" for cell in open_cells) else "failed"


def _train_and_record(
    job: Job,
    ledger: Ledger,
    pack: Pack,
    open_cells: Sequence[str],
    claim: Claim,
    stop: Callable[[], bool],
    note: Callable[[str], None],
) -> None:
    """Train the pack as a whole, or in parts where it does not fit into memory: a resumed one in the same parts."""
    torch.set_num_threads(job.threads)
    cells, folder = _cells(ledger, pack), ledger.pack_path(pack.id)
    for line in ledger.repair(cell for cell in cells if cell.id in open_cells):
        note(line)  # a result of another version, say: never overwritten
    data = load_data(job, cells[0])
    while True:
        count = min(_parts(folder), len(cells))
        try:
            for n in range(count):
                part = cells[n * len(cells) // count : (n + 1) * len(cells) // count]
                place = folder if count == 1 else ledger.folder(f"packs/{pack.id}/checkpoint-part-{n}-of-{count}")
                if any(ledger.state(cell.id) == "pending" for cell in part):
                    _train_part(job, ledger, pack, part, data, place, claim, stop, note)
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if count == len(cells) or not _out_of_memory(error):
                raise
        gc.collect()  # after the handler: a caught error holds the tensors of its frames
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        remove_checkpoints(folder)
        count = min(2 * count, len(cells))
        (folder / f"checkpoint-part-0-of-{count}").mkdir()
        note(f"pack {pack.id}: {len(cells)} models do not fit into memory at once; trained in {count} parts")


_PART = re.compile(r"checkpoint-part-0-of-([1-9]\d{0,5})")


_NO_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "ALLOC_FAILED")  # cuBLAS and cuDNN say the last


def _parts(folder: Path) -> int:
    return max((int(match[1]) for path in folder.iterdir() if (match := _PART.fullmatch(path.name))), default=1)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in _NO_MEMORY)


def _train_part(
    job: Job,
    ledger: Ledger,
    pack: Pack,
    cells: Sequence[Cell],
    data: Dataset,
    checkpoints: Path,
    claim: Claim,
    stop: Callable[[], bool],
    note: Callable[[str], None],
) -> None:
    """Train these cells as one stacked model and record those that are pending."""
    began, started, first, folder = time.monotonic(), _now(), cells[0], ledger.pack_path(pack.id)
    pending = [(i, cell) for i, cell in enumerate(cells) if ledger.state(cell.id) == "pending"]

    def on_evaluation(trainer: PackTrainer) -> None:
        for i, cell in pending:
            ledger.write_history(cell.id, trainer.history[i])

    clock = [time.monotonic(), 0.0]

    def on_progress(trainer: PackTrainer) -> None:
        now = time.monotonic()
        rate = (trainer.step - clock[1]) / (now - clock[0]) if clock[1] else 0.0
        clock[:] = [now, trainer.step]
        Pace(trainer.step, first.train.steps, len(cells), rate).write(folder)

    trained = train_pack(
        first.model,
        [cell.member for cell in cells],
        first.train,
        data,
        device=job.device,
        eval_every=job.eval_every,
        checkpoints=checkpoints,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        on_evaluation=on_evaluation,
        on_progress=on_progress,
        should_stop=lambda: stop() or not claim.mine(),
        note=note,
    )
    results = measure(trained, cells, data, job.device)
    measured = time.monotonic()
    for result, bound in zip(results, bounds(trained, cells, data, job.ll_examples, job.device), strict=True):
        result |= bound
    seconds = {"training": trained.seconds, "bound": time.monotonic() - measured, "whole": time.monotonic() - began}
    if not claim.mine():
        raise Interrupted("another worker took the pack over")
    trained.model.to("cpu")
    for i, cell in pending:
        result, step = results[i], trained.diverged[i]
        if step is not None or not all(math.isfinite(v) for v in result.values() if isinstance(v, float)):
            ledger.write_history(cell.id, trained.history[i])
            where = f"the loss was not finite at step {step}" if step else "the final metrics are not finite"
            ledger.fail(cell.id, "diverged", [f"{cell.model.name} rho {cell.member.objective.rho:g}: {where}"], step)
            continue
        facts = provenance(
            config=cell.config,
            pack={"id": pack.id, "cells": list(pack.cells), "trained_with": [each.id for each in cells]},
            device=device_name(job.device),
            threads=torch.get_num_threads(),
            deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
            data={"checksum": data.checksum, "reference": data.reference},
            options=dict(job.options),
            attempts=ledger.attempts(cell.id) + 1,
            start=started,
            end=_now(),
            pack_seconds=seconds,
            resumed_at_step=trained.resumed_at,
        )
        weights = member_weights(trained.model, i) if job.keep == "weights" else None
        ledger.complete(cell, result, facts, trained.history[i], weights)


def _cells(ledger: Ledger, pack: Pack) -> list[Cell]:
    """Read the members of a pack; raises LedgerError if one cannot be read: the request, typed again, repairs it."""
    cells = []
    for cell_id in pack.cells:
        try:
            record = ledger.record(cell_id)
        except DamagedFileError as error:
            raise LedgerError(f"{error}; the request typed again sets it aside and goes on") from error
        if record is None:
            raise LedgerError(f"{ledger.cell_path(cell_id)}: holds no config.json; the request typed again writes it")
        cells.append(record.cell)
    return cells


def measure(trained: TrainedPack, cells: Sequence[Cell], data: Dataset, device: str) -> list[dict[str, Any]]:
    """Take the final metrics of every member on the whole test set."""
    metrics = evaluate(trained.model, torch.from_numpy(data.test).to(device), [c.member.seed for c in cells], "test")
    facts = {
        "test_examples": len(data.test),
        "seconds": trained.seconds / len(cells),
        "pack_size": len(cells),
        "device": device_name(device),
    }
    return [metrics.row(i) | facts for i in range(len(cells))]


def bounds(
    trained: TrainedPack, cells: Sequence[Cell], data: Dataset, examples: int, device: str
) -> list[dict[str, Any]]:
    """Take L_100 of every member on a seeded choice of that many test images; with none, say so and no more."""
    chosen = choose_examples(len(data.test), examples)
    count = len(chosen)
    if not count:
        return [{"ll_examples": 0}] * len(cells)
    images = torch.from_numpy(data.test[chosen]).to(device)
    bound = importance_bound(trained.model, images, BOUND_SAMPLES, [cell.member.seed for cell in cells])
    return [
        {
            "ll_100": float(bound.value[i]),
            "ll_100_se": float(bound.standard_error[i]) if count > 1 else None,
            "ll_100_ess": float(bound.effective_samples[i]),
            "ll_examples": count,
        }
        for i in range(len(cells))
    ]


def member_weights(model: torch.nn.Module, member: int) -> bytes:
    """One member's weights as a safetensors file; every tensor keeps a leading member axis of 1."""
    tensors = {name: value[member : member + 1].contiguous() for name, value in model.state_dict().items()}
    return safetensors.torch.save(tensors)


def device_name(device: str) -> str:
    """Name of the device in records: cpu, or the GPU's model."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def load_data(job: Job, cell: Cell) -> Dataset:
    """Load a cell's data from where the request found it; raises DataError if its content has changed."""
    reference = dict(job.references).get(cell.checksum, f"{cell.dataset}:{cell.source}")
    directory = Path(job.data_dir) if job.data_dir else None
    data = load_dataset(reference, binarise=cell.binarise, data_dir=directory, download=False)
    if data.checksum != cell.checksum:
        raise DataError(
            f"{reference}: its content has changed since it was planned "
            f"(checksum {data.checksum[:12]}, planned {cell.checksum[:12]})"
        )
    return data


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
