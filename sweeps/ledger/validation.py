"""What each file of a results directory must hold: reading that checks it, since it may come from someone else."""

from __future__ import annotations

import csv
import io
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast

from sweeps.grid.cell import ID, SCHEMA, Cell
from sweeps.ledger.atomic_files import MAX_BYTES, DamagedFileError, fingerprint, is_finite, read_json

METRICS = ("elbo", "recon", "kl_total", "kl_top", "au_top")
COMPANIONS = ("history.csv", "weights.safetensors")
LARGEST = 1e100  # of a number: sums and squares of such still have a float, and no training comes near it
MAX_HASHED_BYTES = 2**16  # larger files are hashed only when they are used
EVALUATION = re.compile(r"eval-([1-9]\d{0,8}|share|information)\.json")
METRICS_OF = {"share": "share", "information": "info"}  # the columns that a later evaluation gives begin with


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a number that a model can have."""
    return is_finite(value) and abs(cast(float, value)) <= LARGEST


def read_evaluation(path: Path, cell_id: str, name: str) -> dict[str, Any]:
    """Read eval-<name>.json of a cell, a bound named after its samples or `metrics`; raises DamagedFileError."""
    found = read_json(path) or {}
    counts = all(type(n) is int and 0 <= n < 2**63 for n in (found.get("examples"), found.get("asked")))
    known = counts and (found.get("schema"), found.get("cell_id")) == (SCHEMA, cell_id)
    if not known or not (_is_bound(found, int(name)) if name.isdecimal() else _are_metrics(found, name)):
        raise DamagedFileError(path, f"is not an evaluation of cell {cell_id} in schema {SCHEMA}")
    return found


def _is_bound(found: Mapping[str, Any], samples: int) -> bool:
    numbers = [found.get("ll"), *(found[name] for name in ("ll_se", "ll_ess") if found.get(name) is not None)]
    return found.get("samples") == samples and all(isinstance(n, float) and is_number(n) for n in numbers)


def _are_metrics(found: Mapping[str, Any], name: str) -> bool:
    metrics, prefix = found.get("metrics"), METRICS_OF[name]
    if not isinstance(metrics, dict) or not metrics.keys() >= {f"{prefix}_top", f"{prefix}_1"}:
        return False
    named = all(re.fullmatch(rf"{prefix}_(top|\d{{1,4}})(_se|_high|_high_se|_gauss)?", key) for key in metrics)
    measured = all(isinstance(value, float) and is_number(value) for value in metrics.values())
    return named and measured and (name == "share" or type(found.get("paths")) is int)


def is_request(request: object) -> bool:
    """Whether an entry of sweep.json has the shape that this version writes; ids must be ids, never paths."""
    match request:
        case {"packs": list(packs), "settings": dict(settings), "request": {"data": list(data)}}:
            cells = [cell for pack in packs if isinstance(pack, list) for cell in pack]
            shaped = all(isinstance(pack, list) and pack for pack in packs)
            named = all(isinstance(cell, str) and ID.fullmatch(cell) for cell in cells)
            return shaped and named and all(map(_is_source, data)) and _are_settings(settings)
    return False


def _is_source(data: object) -> bool:
    match data:
        case {"asked": str(), "checksum": str(), "reference": str()}:
            return True
    return False


def _are_settings(settings: Mapping[str, Any]) -> bool:
    """Whether the settings that workers read from a request are of their kinds."""
    names = ("eval_every", "ll_examples", "cpus_per_trial")
    counts = all(isinstance(settings.get(name, 1), int) and settings.get(name, 1) >= 0 for name in names)
    kept = settings.get("keep", "weights") in ("weights", "none")
    return counts and kept and isinstance(settings.get("data_dir"), str | None)


def csv_bytes(rows: Sequence[Mapping[str, float | int]]) -> bytes:
    """Write rows of numbers as csv; what an older version's rows, taken over from its checkpoint, lack is nan."""
    text = io.StringIO()
    names = list(rows[-1]) if rows else []
    writer = csv.DictWriter(text, fieldnames=names, restval="nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def damaged_companions(path: Path, result: Mapping[str, Any]) -> Iterator[DamagedFileError]:
    """Find the files beside a result that are not what it says they were; a file that was removed is no damage.

    Of the weights, which are large, the size alone is compared here; their checksum is when they are loaded.
    """
    files = result.get("files")
    for name in COMPANIONS:
        file, was = path / name, files.get(name) if isinstance(files, dict) else None
        if not isinstance(was, dict):
            continue
        try:
            there = file.lstat()
        except FileNotFoundError:
            continue
        same = stat.S_ISREG(there.st_mode) and there.st_size == was.get("bytes")
        if not same or (there.st_size <= MAX_HASHED_BYTES and fingerprint(file.read_bytes()) != was):
            yield DamagedFileError(file, "is not the file that the cell's result was recorded with")


def read_result(path: Path, cell: Cell) -> dict[str, Any] | None:
    """Read result.json of a cell; None where there is none; raises DamagedFileError."""
    result = read_json(path)
    if result is None:
        return None
    if result.get("schema") != SCHEMA or result.get("cell_id") != cell.id:
        raise DamagedFileError(path, f"is not a result of cell {cell.id} in schema {SCHEMA}")
    layers = [f"{name}_{i}" for name in ("kl", "au", "au_path") for i in range(1, cell.model.depth + 1)]
    for name in (*METRICS, *layers):
        value = result.get(name)
        if not is_number(value):
            raise DamagedFileError(path, f"{name} is {str(value)[:40]!r}, not a number that a model has")
    return result


def is_untrained(result: Mapping[str, Any]) -> bool:
    """Whether a result is worse than independent pixels at the training mean, its `baseline`: finite, but no model."""
    baseline = result.get("baseline")
    return is_finite(baseline) and result["elbo"] < baseline


def read_history(path: Path) -> list[dict[str, float]]:
    """Read history.csv, oldest row first; raises DamagedFileError for anything but numbers."""
    if path.is_symlink() or not path.is_file():
        return []
    if path.stat().st_size > MAX_BYTES:
        raise DamagedFileError(path, f"larger than {MAX_BYTES} bytes")
    try:
        rows = list(csv.DictReader(path.read_text().splitlines(), strict=True))
        return [{name: float(value) for name, value in row.items()} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DamagedFileError(path, f"{str(error).splitlines()[0][:200]}") from error
