from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.watching.show import cell_facts, find_cell, lines


@pytest.fixture
def folder(ledger: Ledger, cell: Cell, other: Cell, result: Callable[..., dict[str, Any]]) -> Path:
    entry = {"packs": [[cell.id], [other.id]], "settings": {}, "request": {"data": []}}
    ledger.add_request(entry, [cell, other])
    ledger.complete(cell, result(), {"host": "here", "versions": {"torch": "2"}}, [{"step": 1, "elbo": -3.5}], b"w")
    return ledger.cell_path(cell.id)


def test_a_cell_is_found_by_path_and_by_the_beginning_of_its_id(folder: Path, ledger: Ledger, other: Cell) -> None:
    assert find_cell(str(folder), Path("nowhere")) == folder
    assert find_cell(folder.name, ledger.root) == folder
    assert find_cell(folder.name[:4], ledger.root) == folder
    for text in ("", "zz", "../cells"):
        with pytest.raises(SpecError, match="cell: "):
            find_cell(text, ledger.root)


def test_an_ambiguous_beginning_is_refused(tmp_path: Path) -> None:
    for name in ("ab" + "0" * 14, "ab" + "1" * 14):
        (tmp_path / "cells" / name).mkdir(parents=True)
    with pytest.raises(SpecError, match="beginning of 2 ids"):
        find_cell("ab", tmp_path)


def test_everything_is_there(folder: Path, cell: Cell, result: Callable[..., dict[str, Any]]) -> None:
    facts = cell_facts(folder)
    assert (facts["cell"], facts["state"], facts["config"]) == (cell.id, "complete", cell.config)
    assert facts["result"].items() >= result().items()
    assert facts["provenance"]["host"] == "here"
    assert facts["files"]["weights.safetensors"] == 1
    text = "\n".join(lines(facts))
    assert "  versions:\n    torch: 2" in text
    assert "failure" not in text
    assert "elbo: -9.0" in text


def test_what_went_wrong_is_shown_line_by_line(ledger: Ledger, folder: Path, other: Cell) -> None:
    ledger.fail(other.id, "error", ["Traceback", "boom"])
    facts = cell_facts(ledger.cell_path(other.id))
    assert facts["state"] == "failed"
    assert "    Traceback\n    boom" in "\n".join(lines(facts))
    with pytest.raises(LedgerError, match="holds no config"):
        cell_facts(ledger.cell_path("0" * 16))
