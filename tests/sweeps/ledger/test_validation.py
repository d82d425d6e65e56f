"""What comes from disk is checked: a request, a result, a history, an evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.validation import csv_bytes, is_request, read_evaluation, read_history, read_result

ID = "0123456789abcdef"
SOURCE = {"asked": "mnist", "checksum": "c", "reference": "mnist:embedded"}
REQUEST: dict[str, Any] = {"packs": [[ID]], "settings": {"ll_examples": 5}, "request": {"data": [SOURCE]}}


@pytest.mark.parametrize(
    "request_",
    [
        {**REQUEST, "packs": [["../../etc"]]},
        {**REQUEST, "packs": [[]]},
        {**REQUEST, "packs": "all"},
        {**REQUEST, "packs": [[7]]},
        {**REQUEST, "request": {"data": [{"asked": "mnist"}]}},
        {**REQUEST, "request": {}},
        {**REQUEST, "settings": {"eval_every": -1}},
        {**REQUEST, "settings": {"keep": "everything"}},
        {**REQUEST, "settings": {"data_dir": 3}},
        [REQUEST],
        None,
    ],
)
def test_what_is_no_request_is_none(request_: object) -> None:
    assert is_request(REQUEST)
    assert not is_request(request_)


@pytest.mark.parametrize(
    "change",
    [
        {"elbo": None},
        {"elbo": "NaN"},
        {"kl_2": []},
        {"au_path_1": 1e300},
        {"schema": SCHEMA + 1},
        {"cell_id": "f" * 16},
    ],
    ids=str,
)
def test_a_result_must_hold_every_number_of_its_own_cell(
    cell: Cell, result: Callable[..., dict[str, Any]], tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "result.json"
    assert read_result(path, cell) is None
    whole = {"schema": SCHEMA, "cell_id": cell.id, **result()}
    path.write_text(json.dumps(whole))
    assert read_result(path, cell) == whole
    path.write_text(json.dumps({**whole, **change}))
    with pytest.raises(DamagedFileError):
        read_result(path, cell)


def test_a_history_reads_back_and_is_refused_where_it_is_not_numbers(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert read_history(path) == []
    rows = [{"step": 5, "elbo": -1.25}, {"step": 10, "elbo": -0.5}]
    path.write_bytes(csv_bytes(rows))
    assert read_history(path) == rows
    path.write_text("step,elbo\n5,high\n")
    with pytest.raises(DamagedFileError):
        read_history(path)
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert read_history(path) == [], "a link is nobody's history"


@pytest.mark.parametrize(
    "change", [{"ll": float("inf")}, {"ll": "x"}, {"samples": 7}, {"examples": -1}, {"asked": 1.5}]
)
def test_an_evaluation_must_be_of_its_cell_and_finite(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "eval-50.json"
    whole = {"schema": SCHEMA, "cell_id": ID, "samples": 50, "ll": -2.0, "ll_se": 0.5, "examples": 9, "asked": 9}
    path.write_text(json.dumps(whole))
    assert read_evaluation(path, ID, "50") == whole
    path.write_text(json.dumps({**whole, **change}))
    with pytest.raises(DamagedFileError):
        read_evaluation(path, ID, "50")
