"""What a logger is, and what it writes of a cell: facts, numbers by step, how the cell ended."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sweeps.ledger.ledger import Record

PROJECT = "hvae-sweep"

_FACTS = {"schema", "step", "seconds", "pack_size", "ll_examples", "test_examples"}  # numbers, but no metrics


class Logger(Protocol):
    """Where runs go."""

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run of a cell that has ended; nothing if it is there already or the cell is pending.

        `history` has rows with a `step`. Raises OSError, or an exception of the package; what was half written then
        does not count, and the cell can be logged again.
        """

    def close(self) -> None:
        """Let go of what the logger holds; raises OSError or RuntimeError."""


def facts_of(record: Record) -> dict[str, Any]:
    """Return what is known of a cell beside its metrics: id, declared settings, ending."""
    facts = {"cell_id": record.cell.id, **record.cell.row, **ending_of(record)}
    return {key: value for key, value in facts.items() if value is not None}


def ending_of(record: Record) -> dict[str, str]:
    """Return the state and the kind of a failure; its lines stay here, for they may hold paths."""
    return {"state": record.state} | ({"failure": str(record.failure.get("kind"))} if record.failure else {})


def points_of(record: Record, history: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """Return finite numbers by step: valid/<metric> of the history, and test/<metric> of the result at the last."""
    points: dict[int, dict[str, float]] = {}
    for row in history:
        points.setdefault(int(row["step"]), {}).update(_numbers("valid", row))
    points.setdefault(record.cell.train.steps, {}).update(_numbers("test", record.result or {}))
    return {step: points[step] for step in sorted(points) if points[step]}


def _numbers(prefix: str, row: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and key not in _FACTS}
    return {f"{prefix}/{key}": float(value) for key, value in numbers.items() if math.isfinite(value)}


def outcome_of(record: Record) -> str:
    """Tell how a cell ended; a later attempt at a failed one is another outcome."""
    attempt = (record.failure or {}).get("attempts", 1)
    return record.state if record.state == "complete" else f"{record.state} {attempt}"


def is_settled(final: Path, record: Record) -> bool:
    """Whether nothing is to be written: this outcome is there, or a complete run, or the cell has not ended."""
    try:
        found = (final / "outcome.txt").read_text()
    except FileNotFoundError:
        found = ""
    return record.state == "pending" or found in ("complete", outcome_of(record))


@contextmanager
def published(final: Path, record: Record) -> Iterator[Path]:
    """Yield a folder to write a run in; whole, it takes its name, in place of the run of an earlier attempt.

    Until then it lies out of the sight of who watches the folder of runs, and is removed if writing it fails.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=final.parent.parent, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        yield folder
        (folder / "outcome.txt").write_text(outcome_of(record))
        if final.exists():
            shutil.rmtree(final)
        folder.rename(final)
