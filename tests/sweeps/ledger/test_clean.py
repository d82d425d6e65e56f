from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.grid.cell import Cell
from sweeps.ledger.claims import Claim, HeldError
from sweeps.ledger.clean import KINDS, clean, rooms
from sweeps.ledger.ledger import Ledger, Pack


@pytest.fixture
def full(ledger: Ledger, cell: Cell, other: Cell, result: Callable[..., dict[str, Any]]) -> Ledger:
    """One finished cell, one interrupted pack, and every kind of thing that piles up."""
    entry = {"packs": [[cell.id], [other.id]], "settings": {}, "request": {"data": []}}
    ledger.add_request(entry, [cell, other])
    ledger.complete(cell, result(), {}, [{"step": 1, "elbo": -3.5}], b"w" * 100)
    pack = ledger.pack_path(Pack((other.id,)).id)
    for folder in (ledger.root / "runs" / "one", pack / "checkpoint-5", pack / "unreadable-checkpoint-4-77"):
        folder.mkdir(parents=True)
        (folder / "state.pt").write_bytes(b"s" * 1000)
    (ledger.cell_path(cell.id) / "result.json.damaged-1").write_text("{")
    for name, age in ((".result.json.ab12cd_9", 1000), (".history.csv.abcdefgh", 0)):
        file = ledger.cell_path(cell.id) / name
        file.write_text("half")
        os.utime(file, (time.time() - age,) * 2)
    (ledger.root / ".gitignore").write_text("mine")
    job = ledger.root / "jobs" / "hvae-20260101T000000Z-abcdef"
    job.mkdir(parents=True)
    for name, text in (("7_1.log", "said"), ("script.sh", "#!"), ("submission.json", "{}")):
        (job / name).write_text(text)
    return ledger


def test_every_kind_is_measured(full: Ledger) -> None:
    found = {room.kind: (len(room.paths), room.size) for room in rooms(full)}
    assert found == {
        "runs": (1, 1000),
        "checkpoints": (1, 1000),
        "weights": (1, 100),
        "damaged": (2, 1001),
        "output": (1, 4),
        "leftovers": (1, 4),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_named_goes_and_records_stay(full: Ledger, cell: Cell, kind: str) -> None:
    before = set(full.root.rglob("*"))
    (removed,) = clean(full, [kind])
    gone = before - set(full.root.rglob("*"))
    assert gone == {path for top in removed.paths for path in before if path == top or top in path.parents}
    assert {room.kind: len(room.paths) for room in rooms(full)}[kind] == 0
    assert full.state(cell.id) == "complete"
    assert full.record(cell.id).damage == ()  # type: ignore[union-attr]
    assert (full.root / ".gitignore").exists(), "what is not ours is left alone"


def test_nothing_goes_while_anybody_works(full: Ledger, other: Cell) -> None:
    for path in (full.root / "claim", full.pack_path(Pack((other.id,)).id) / "claim"):
        before = set(full.root.rglob("*"))
        with Claim(path), pytest.raises(HeldError, match=str(os.getpid())):
            clean(full, list(KINDS))
        assert set(full.root.rglob("*")) == before


def test_links_out_of_the_tree_are_left_alone(full: Ledger, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "checkpoint-9").mkdir()
    (full.root / "packs" / "linked").symlink_to(outside)
    (full.root / "runs" / "linked").symlink_to(outside)
    (full.root / "runs" / "one" / "linked").symlink_to(outside)
    clean(full, list(KINDS))
    assert (outside / "checkpoint-9").is_dir()
