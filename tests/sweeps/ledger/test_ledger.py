from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.grid.cell import Cell
from sweeps.ledger.atomic_files import DamagedFileError, read_json, write_bytes, write_json
from sweeps.ledger.ledger import Ledger, LedgerError, Record

Make = Callable[..., dict[str, Any]]


def plan(ledger: Ledger, *cells: Cell) -> None:
    packs = [[cell.id for cell in cells]]
    ledger.add_request({"packs": packs, "settings": {}, "request": {"data": []}}, cells)


def test_states_follow_from_files(ledger: Ledger, cell: Cell, result: Make) -> None:
    assert ledger.record(cell.id) is None
    plan(ledger, cell)
    assert ledger.state(cell.id) == "pending"
    ledger.fail(cell.id, "error", ["boom"])
    assert ledger.state(cell.id) == "failed"
    ledger.fail(cell.id, "diverged", ["nan"], step=7)
    assert ledger.state(cell.id) == "diverged"
    ledger.complete(cell, result(), {"host": "here"}, [], b"weights")
    record = ledger.record(cell.id)
    assert record is not None
    assert (record.state, record.cell) == ("complete", cell)
    assert record.result is not None
    assert record.result["kl_top"] == 1.5
    assert (ledger.cell_path(cell.id) / "weights.safetensors").read_bytes() == b"weights"


def test_reopening_keeps_the_failure_and_counts(ledger: Ledger, cell: Cell) -> None:
    plan(ledger, cell)
    for attempt in (1, 2):
        ledger.fail(cell.id, "error", ["boom"])
        record = ledger.record(cell.id)
        assert record is not None
        assert record.failure is not None
        assert record.failure["attempts"] == attempt
        ledger.reopen(cell.id)
        assert ledger.state(cell.id) == "pending"


def test_result_is_written_last(ledger: Ledger, cell: Cell, result: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed between the files of a cell leaves it pending, whichever file comes next."""
    plan(ledger, cell)
    import sweeps.ledger.ledger as module

    written: list[str] = []

    def killed(path: Path, value: object, **more: object) -> None:
        written.append(path.name)
        if path.name == "result.json":
            raise KeyboardInterrupt
        write_json(path, value)

    monkeypatch.setattr(module, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        ledger.complete(cell, result(), {}, [], b"w")
    assert written[-1] == "result.json"
    assert ledger.state(cell.id) == "pending"


def test_a_finished_cell_is_not_touched_by_a_new_request(ledger: Ledger, cell: Cell, other: Cell, result: Make) -> None:
    plan(ledger, cell)
    ledger.complete(cell, result(), {}, [])
    files = list(ledger.cell_path(cell.id).iterdir())
    before = [(f, f.stat().st_mtime_ns, f.read_bytes()) for f in files]
    plan(ledger, cell, other)
    assert [(f, f.stat().st_mtime_ns, f.read_bytes()) for f in files] == before
    assert len(ledger.requests()) == 2
    assert len(ledger.packs()) == 2


DAMAGE: dict[str, Callable[[str], str]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "not json": lambda text: "hello",
    "a list": lambda text: "[1]",
    "NaN": lambda text: text.replace("-9.0", "NaN"),
    "huge": lambda text: text.replace("-9.0", "1e999"),
    "text": lambda text: text.replace("-9.0", '"x"'),
    "another cell's": lambda text: text.replace('"cell_id": "', '"cell_id": "0'),
    "another schema": lambda text: text.replace('"schema": 1', '"schema": 2'),
    "a hole": lambda text: text.replace('"kl_2"', '"kl_x"'),
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_result_is_named_set_aside_and_run_again(ledger: Ledger, cell: Cell, result: Make, kind: str) -> None:
    plan(ledger, cell)
    ledger.complete(cell, result(), {}, [])
    path = ledger.cell_path(cell.id) / "result.json"
    path.write_text(DAMAGE[kind](path.read_text()))
    record = ledger.record(cell.id)
    assert record is not None
    assert record.state == "pending"
    assert record.damage[0].path == path
    notes = ledger.repair([cell])
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert str(path) in notes[0]
    assert not path.exists()
    assert (path.parent / "result.json.damaged-1").exists()
    record = ledger.record(cell.id)
    assert record is not None
    assert not record.damage


def test_a_config_that_is_not_what_its_folder_says_is_refused(ledger: Ledger, cell: Cell, other: Cell) -> None:
    plan(ledger, cell)
    write_json(ledger.cell_path(cell.id) / "config.json", other.config)
    with pytest.raises(DamagedFileError, match=other.id):
        ledger.record(cell.id)
    damaged: list[str] = []
    assert list(ledger.records(damaged)) == []
    assert len(damaged) == 1


def test_symbolic_links_out_of_the_tree_are_not_followed(ledger: Ledger, cell: Cell, result: Make) -> None:
    plan(ledger, cell)
    secret = ledger.root.parent / "secret.json"
    write_json(secret, {"schema": 1, "cell_id": cell.id, **result()})
    (ledger.cell_path(cell.id) / "result.json").symlink_to(secret)
    assert ledger.state(cell.id) == "pending"
    (ledger.root / "cells" / "0123456789abcdef").symlink_to(ledger.cell_path(cell.id))
    assert ledger.cell_ids() == [cell.id]


def test_another_version_of_sweep_json_is_refused_by_name(ledger: Ledger) -> None:
    write_json(ledger.root / "sweep.json", {"schema": 7, "requests": []})
    with pytest.raises(LedgerError, match="schema 7"):
        ledger.requests()
    (ledger.root / "sweep.json").write_text("{")
    with pytest.raises(LedgerError, match=r"sweep\.json"):
        ledger.requests()


@pytest.mark.parametrize(
    "request_entry",
    [
        7,
        {},
        {"packs": [["../../etc"]], "settings": {}, "request": {"data": []}},
        {"packs": ["0123456789abcdef"], "settings": {}, "request": {"data": []}},
        {"packs": [[]], "settings": {}, "request": {"data": []}},
        {"packs": [], "settings": [], "request": {"data": []}},
        {"packs": [], "settings": {}, "request": {"data": [{"asked": "mnist"}]}},
    ],
)
def test_a_hostile_request_is_refused_by_name(ledger: Ledger, request_entry: object) -> None:
    write_json(ledger.root / "sweep.json", {"schema": 1, "requests": [request_entry]})
    with pytest.raises(LedgerError, match=r"sweep\.json: request 0"):
        ledger.packs()


def test_history_is_a_csv(ledger: Ledger, cell: Cell) -> None:
    plan(ledger, cell)
    ledger.write_history(cell.id, [{"step": 1, "elbo": -2.5}, {"step": 2, "elbo": 0.1 + 0.2}])
    text = (ledger.cell_path(cell.id) / "history.csv").read_text()
    assert text == "step,elbo\n1,-2.5\n2,0.30000000000000004\n"


def test_files_are_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fact.json"
    write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"half of somethi")
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["fact.json"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def complete(ledger: Ledger, cell: Cell, result: Make) -> Path:
    plan(ledger, cell)
    ledger.complete(cell, result(), {}, [{"step": 12, "elbo": -9.5}], b"weights")
    return ledger.cell_path(cell.id)


@pytest.mark.parametrize("name", ["history.csv", "weights.safetensors"])
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_damaged_companion_of_a_result_takes_the_cell_with_it(
    ledger: Ledger, cell: Cell, other: Cell, result: Make, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = complete(ledger, cell, result)
    complete(ledger, other, result)
    assert ledger.repair([cell, other]) == []
    file = path / name
    file.write_bytes(damage(file.read_bytes()))
    record = ledger.record(cell.id)
    assert record is not None
    assert [error.path for error in record.damage] == [file]
    (note,) = ledger.repair([cell, other])
    assert str(file) in note
    assert "\n" not in note
    assert (ledger.state(cell.id), ledger.state(other.id)) == ("pending", "complete")
    assert (path / f"{name}.damaged-1").exists()


@pytest.mark.parametrize("name", ["result.json", "weights.safetensors"])
def test_a_result_that_replaced_a_damaged_one_meanwhile_stays(
    ledger: Ledger, cell: Cell, result: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended once the damage is seen, until another worker has trained the cell again."""
    path = complete(ledger, cell, result)
    (path / name).write_bytes(b"{")
    looked, record = list[Record | None](), Ledger.record

    def suspended(self: Ledger, cell_id: str) -> Record | None:
        looked.append(record(self, cell_id))
        if len(looked) == 2:  # the first look only finds out whether a second is needed
            complete(ledger, cell, result)
        return looked[-1]

    monkeypatch.setattr(Ledger, "record", suspended)
    assert ledger.repair([cell]) == []
    assert ledger.state(cell.id) == "complete"
    assert not [file for file in path.iterdir() if "damaged" in file.name]


def test_weights_that_were_removed_are_no_damage(ledger: Ledger, cell: Cell, result: Make) -> None:
    path = complete(ledger, cell, result)
    (path / "weights.safetensors").unlink()
    assert ledger.repair([cell]) == []
    assert ledger.state(cell.id) == "complete"


def test_a_configuration_lost_beside_a_result_is_written_again(ledger: Ledger, cell: Cell, result: Make) -> None:
    path = complete(ledger, cell, result)
    (path / "config.json").unlink()
    ledger.repair([cell])
    assert ledger.state(cell.id) == "complete"
    (path / "config.json").write_text("{")
    assert len(ledger.repair([cell])) == 1
    assert ledger.state(cell.id) == "complete"


def test_history_is_read_back_as_numbers(ledger: Ledger, cell: Cell, result: Make) -> None:
    path = complete(ledger, cell, result)
    assert ledger.history(cell.id) == [{"step": 12.0, "elbo": -9.5}]
    for text in ("step,elbo\n12\n", "step,elbo\n12,x\n", "step,elbo\n12,1,2\n"):
        (path / "history.csv").write_text(text)
        with pytest.raises(DamagedFileError, match="history"):
            ledger.history(cell.id)
    (path / "history.csv").unlink()
    assert ledger.history(cell.id) == []


def test_linked_folders_and_pipes_are_not_read(ledger: Ledger, cell: Cell, other: Cell, result: Make) -> None:
    path = complete(ledger, cell, result)
    (path / "result.json").unlink()
    os.mkfifo(path / "result.json")
    assert ledger.state(cell.id) == "pending", "and does not hang"
    linked = ledger.cell_path(other.id)
    linked.symlink_to(path)
    with pytest.raises(DamagedFileError, match="symbolic link"):
        ledger.record(other.id)
    ledger.repair([other])
    assert not linked.is_symlink()
    assert path.exists()
    (ledger.root / "cells").rename(ledger.root / "elsewhere")
    (ledger.root / "cells").symlink_to(ledger.root / "elsewhere")
    with pytest.raises(LedgerError, match="symbolic link"):
        list(ledger.records())


@pytest.mark.parametrize("name", ["config.json", "result.json", "history.csv"])
def test_a_link_is_followed_nowhere_whatever_lies_behind_it(
    ledger: Ledger, cell: Cell, result: Make, tmp_path: Path, name: str
) -> None:
    """Behind it lies the very file that was recorded: a directory may come from somebody else."""
    file = complete(ledger, cell, result) / name
    elsewhere = tmp_path / f"elsewhere-{name}"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    damaged: list[str] = []
    states = {record.cell.id: (record.state, record.damage) for record in ledger.records(damaged)}
    assert any(str(file) in line for line in damaged)
    assert cell.id not in states or states[cell.id][1], "and no result counts as undamaged"
