"""Train one pack and write its records: what a Ray trial and a stand-alone worker both do.

claim -> load and check the data -> train -> measure on the test images -> one record per cell -> release
"""

from __future__ import annotations

import gc
import math
import re
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch

from hvae_core.checks import SpecError
from hvae_core.data import DataError, Dataset
from hvae_core.training.checkpoint import remove_checkpoints
from hvae_core.training.trainer import Interrupted, PackTrainer, train_pack
from sweeps.grid.cell import Cell
from sweeps.ledger import pack_progress
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.claims import Claim, HeldError
from sweeps.ledger.ledger import Ledger, LedgerError, Pack
from sweeps.ledger.pack_progress import Pace
from sweeps.ledger.provenance import provenance
from sweeps.planning.pack_options import Job, device_name, load_data
from sweeps.running.measure import bounds, measure, member_weights

CHECKPOINT_SECONDS = 30.0
LAST_LINES = 20

Outcome = Literal["complete", "failed", "held", "stopped"]


def tidy(ledger: Ledger) -> None:
    """Remove what is left of packs whose cells have all ended and that nobody holds: of workers killed at the end."""
    for pack in ledger.packs().values():
        folder = ledger.pack_path(pack.id)
        if folder.is_dir() and all(ledger.state(cell) != "pending" for cell in pack.cells):
            with suppress(HeldError, OSError), Claim(folder / "claim"):
                remove_checkpoints(folder)
                (folder / pack_progress.FILE).unlink(missing_ok=True)
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
            (folder / pack_progress.FILE).unlink(missing_ok=True)
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
