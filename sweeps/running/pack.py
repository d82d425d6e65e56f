"""Train one pack and write its records: what a Ray trial and a worker without Ray both do.

claim -> load and check the data -> train, in parts where it does not fit into memory -> one record per cell -> release
"""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from hvae_core.checks import SpecError
from hvae_core.data import DataError
from hvae_core.training.checkpoint import remove_checkpoints
from hvae_core.training.trainer import Interrupted
from sweeps.grid.cell import Cell
from sweeps.ledger import pack_progress
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.claims import Claim, HeldError
from sweeps.ledger.ledger import Ledger, LedgerError, Pack
from sweeps.ledger.ownership import Ownership, TakenOverError
from sweeps.planning.pack_options import PackOptions, load_data
from sweeps.running.part import PackRun, train_part

LAST_LINES = 20

Outcome = Literal["complete", "failed", "held", "stopped"]

_PART = re.compile(r"checkpoint-part-0-of-([1-9]\d{0,5})")
_NO_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "ALLOC_FAILED")  # cuBLAS and cuDNN say the last


def tidy(ledger: Ledger) -> None:
    """Remove what is left of packs whose cells have all ended and that nobody holds: of workers killed at the end."""
    for pack in ledger.packs().values():
        folder = ledger.pack_path(pack.id)
        if folder.is_dir() and all(ledger.state(cell) != "pending" for cell in pack.cells):
            with (
                suppress(HeldError, TakenOverError, OSError),
                Claim(folder / "claim") as claim,
                Ownership(folder, claim),
            ):
                remove_checkpoints(folder)
                (folder / pack_progress.FILE).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def run_pack(
    options: PackOptions,
    pack: Pack,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train a pack to the end and record every cell; an error becomes the failure record of its cells.

    Damaged files in its way are set aside with a line to `note`. Returns what happened: complete, failed (some cell
    failed or diverged and is recorded as such), held (another live process has the claim), stopped (`stop` said so,
    checkpoint written). Raises OSError, DataError, LedgerError or SpecError where the disk, the data, the records or
    a setting that this machine lacks are the trouble: the cells stay pending.
    """
    folder = Ledger(Path(options.root)).pack_path(pack.id)
    if stop():
        return "stopped"
    try:
        with Claim(folder / "claim") as claim, Ownership(folder, claim) as owner:
            run = PackRun(options, Ledger(Path(options.root), owner), pack, claim, owner, stop, note)
            outcome = _run_claimed(run)
        with suppress(OSError):
            folder.rmdir()  # only if empty: another worker may be looking in
    except (HeldError, TakenOverError):
        return "held"
    return outcome


def _run_claimed(run: PackRun) -> Outcome:
    """Train and record the open cells of a pack that this worker owns."""
    open_cells = run.open_cells()
    if not open_cells:
        remove_checkpoints(run.folder)
        return "complete"
    try:
        _train(run)
    except Interrupted:
        return "stopped" if run.claim.mine() else _taken_over(run)
    except TakenOverError:
        return _taken_over(run)
    except (OSError, DataError, LedgerError, SpecError):
        if not run.owner.staging.is_dir():
            return _taken_over(run)  # the pack's folder may have gone with it
        raise
    except Exception:  # whatever else training raises must not stop the sweep: recorded with its last lines
        lines = traceback.format_exc().splitlines()[-LAST_LINES:]
        try:
            for cell in run.open_cells():
                run.ledger.fail(cell, "error", lines)
        except TakenOverError:
            return _taken_over(run)
        return "failed"
    if not run.owner.staging.is_dir():
        return _taken_over(run)  # the checkpoints may be another's
    remove_checkpoints(run.folder)
    (run.folder / pack_progress.FILE).unlink(missing_ok=True)
    return "complete" if all(run.ledger.state(cell) == "complete" for cell in open_cells) else "failed"


def _taken_over(run: PackRun) -> Outcome:
    run.note(f"pack {run.pack.id}: another worker took it over while this one was suspended; going on to the next")
    return "held"


def _train(run: PackRun) -> None:
    """Train the pack as a whole, or in twice as many parts each time it does not fit into memory."""
    torch.set_num_threads(run.options.threads)
    cells = _cells(run.ledger, run.pack)
    pending = set(run.open_cells())
    for line in run.ledger.repair(cell for cell in cells if cell.id in pending):
        run.note(line)  # a result of another version, say: never overwritten
    data = load_data(run.options, cells[0])
    parts = min(_recorded_parts(run.folder), len(cells))
    while True:
        try:
            for n in range(parts):
                members = cells[n * len(cells) // parts : (n + 1) * len(cells) // parts]
                if any(run.ledger.state(cell.id) == "pending" for cell in members):
                    train_part(run, members, data, _checkpoints(run, n, parts))
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if parts == len(cells) or not _out_of_memory(error):
                raise
        gc.collect()  # after the handler: a caught error holds the tensors of its frames
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        parts = min(2 * parts, len(cells))
        _record_parts(run.folder, parts)
        run.note(f"pack {run.pack.id}: {len(cells)} models do not fit into memory at once; trained in {parts} parts")


# A pack that was parted stays so: only in the same company do its numbers stay the same. The number of parts is
# recorded by the name of a folder, `checkpoint-part-0-of-<parts>`, which goes with the checkpoints.


def _recorded_parts(folder: Path) -> int:
    return max((int(match[1]) for path in folder.iterdir() if (match := _PART.fullmatch(path.name))), default=1)


def _record_parts(folder: Path, parts: int) -> None:
    remove_checkpoints(folder)
    (folder / f"checkpoint-part-0-of-{parts}").mkdir()


def _checkpoints(run: PackRun, n: int, parts: int) -> Path:
    """Where part n keeps its checkpoints: a pack that is whole, in its own folder."""
    return run.folder if parts == 1 else run.ledger.folder(f"packs/{run.pack.id}/checkpoint-part-{n}-of-{parts}")


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in _NO_MEMORY)


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
