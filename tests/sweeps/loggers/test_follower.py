from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell
from sweeps.ledger.claims import Claim, HeldError
from sweeps.ledger.ledger import Ledger, Record
from sweeps.loggers.follower import Journal

Make = Callable[..., dict[str, Any]]


class Book:
    """A logger that remembers, and breaks when it is told to."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Mapping[str, float]]] = {}
        self.broken, self.closed = False, 0

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        if self.broken:
            raise ConnectionError("gone\naway")
        self.runs[record.cell.id] = list(history)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> dict[str, Book]:
    found = {"one": Book(), "two": Book()}

    def open_loggers(names: Sequence[str], root: Path) -> list[Book]:
        if "none" in names:
            raise SpecError("log: 'none' cannot be had")
        return [found[name] for name in dict.fromkeys(names)]

    monkeypatch.setattr("sweeps.loggers.follower.open_loggers", open_loggers)
    return found


@pytest.fixture
def ended(ledger: Ledger, cell: Cell, other: Cell, result: Make) -> Ledger:
    """One complete cell with a history, one that failed without."""
    ledger.add_request({"packs": [[cell.id], [other.id]], "settings": {}, "request": {"data": []}}, [cell, other])
    ledger.complete(cell, result(), {}, [{"step": 12, "elbo": -9.5}])
    ledger.fail(other.id, "error", ["boom"])
    return ledger


def test_it_catches_up_then_writes_what_ends(ended: Ledger, books: dict[str, Book], cell: Cell, other: Cell) -> None:
    ended.reopen(other.id)
    notes: list[str] = []
    with Journal(["one", "two"], ended, notes.append) as journal:
        for book in books.values():
            assert book.runs == {cell.id: [{"step": 12.0, "elbo": -9.5}]}, "what is pending is no run"
        ended.fail(other.id, "error", ["boom"])
        record = ended.record(other.id)
        assert record is not None
        journal.write(record)
        assert books["one"].runs[other.id] == []
        with pytest.raises(HeldError), Claim(ended.root / "logs" / "claim"):
            pass
    assert [book.closed for book in books.values()] == [1, 1]
    assert notes == []
    with Claim(ended.root / "logs" / "claim"):
        pass


def test_a_logger_that_breaks_is_named_once_and_the_other_goes_on(
    ended: Ledger, books: dict[str, Book], cell: Cell, other: Cell
) -> None:
    books["one"].broken = True
    notes: list[str] = []
    with Journal(["one", "two"], ended, notes.append):
        pass
    assert set(books["two"].runs) == {cell.id, other.id}
    assert len(notes) == 1
    assert notes[0].startswith("log: one stopped writing: ConnectionError: gone away")


def test_without_names_nothing_happens(ended: Ledger) -> None:
    before = sorted(ended.root.rglob("*"))
    with Journal([], ended, lambda line: None):
        assert sorted(ended.root.rglob("*")) == before


def test_what_cannot_be_opened_is_an_error_and_holds_nothing(ended: Ledger, books: dict[str, Book]) -> None:
    with pytest.raises(SpecError, match="cannot be had"), Journal(["none"], ended, lambda line: None):
        pass
    with Claim(ended.root / "logs" / "claim"):
        pass


def test_it_waits_for_another_writer_but_not_for_ever(
    ended: Ledger, books: dict[str, Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.loggers.follower.WAIT_SECONDS", 0.0)
    held = Claim(ended.root / "logs" / "claim")
    with held, pytest.raises(HeldError), Journal(["one"], ended, lambda line: None):
        pass


def test_a_damaged_history_costs_the_run_no_metrics(ended: Ledger, books: dict[str, Book], cell: Cell) -> None:
    (ended.cell_path(cell.id) / "history.csv").write_text("step\nx\n")
    with Journal(["one"], ended, lambda line: None):
        assert books["one"].runs[cell.id] == []
