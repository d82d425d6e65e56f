"""What takes room in a results directory, and its removal: only what is named, never a record."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.ledger.claims import EXPIRY_SECONDS, Claim, HeldError, holder_of
from sweeps.ledger.ledger import Ledger

KINDS = {
    "runs": "Ray's own files, disposable",
    "checkpoints": "of packs that are not done; without them these start again from step 0",
    "weights": "the trained models; without them no cell can be loaded or evaluated again",
    "damaged": "files that were found damaged and set aside",
    "output": "what submitted jobs printed; their scripts stay",
    "leftovers": "half-written files of processes that were killed",
}
_ASIDE = re.compile(r".+\.damaged-\d+|unreadable-checkpoint-.+")
_LEFTOVER = re.compile(
    r"owner-.+|\.(claim-|clock-|checkpoint-|fenced-).+|\.[\w.-]+\.(json|csv|parquet|toml|safetensors)\.\w{8}"
)


@dataclass(frozen=True)
class Room:
    """Paths of one kind, and the bytes below them."""

    kind: str
    paths: list[Path]
    size: int


def rooms(ledger: Ledger) -> list[Room]:
    """Measure every kind; symbolic links are neither followed nor counted."""
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    found["runs"] = [path for path in _below(ledger.root / "runs") if not path.name.startswith(".")]
    found["output"] = [path for job in _below(ledger.root / "jobs") for path in _below(job) if path.suffix == ".log"]
    folders = [ledger.root, *(f for part in ("cells", "packs") for f in _below(ledger.root / part) if f.is_dir())]
    for folder in folders:
        for path in _below(folder):
            kind = _kind(path)
            if kind is not None:
                found[kind].append(path)
    return [Room(kind, paths, sum(map(_size, paths))) for kind, paths in found.items()]


def clean(ledger: Ledger, kinds: Sequence[str]) -> list[Room]:
    """Remove everything of these kinds; returns what was removed.

    Raises HeldError, before anything is removed, if a run or a worker is active in the directory.
    """
    with Claim(ledger.root / "claim"):
        for pack in _below(ledger.root / "packs"):
            holder = holder_of(pack / "claim")
            if holder is not None:
                raise HeldError(pack / "claim", holder)
        removed = [room for room in rooms(ledger) if room.kind in kinds]
        for room in removed:
            for path in room.paths:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    return removed


def _kind(path: Path) -> str | None:
    if _ASIDE.fullmatch(path.name):
        return "damaged"
    if _LEFTOVER.fullmatch(path.name):
        return "leftovers" if time.time() - path.lstat().st_mtime > EXPIRY_SECONDS else None
    if path.name.startswith("checkpoint-"):
        return "checkpoints"
    return "weights" if path.name == "weights.safetensors" else None


def _below(folder: Path) -> Iterator[Path]:
    """Entries of a folder that are no symbolic links; none where it is none itself or is one."""
    if folder.is_dir() and not folder.is_symlink():
        yield from (path for path in sorted(folder.iterdir()) if not path.is_symlink())


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(map(_size, _below(path)))
    return path.lstat().st_size
