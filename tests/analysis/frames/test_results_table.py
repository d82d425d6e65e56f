from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.frames.results_table import EVERY_SECONDS, ResultsTable
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]


def rows(directory: Path) -> int:
    return len(pd.read_csv(directory / "results.csv"))


def test_the_tables_follow_a_running_sweep(make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that end within the half minute after a writing are in the next one, though none ends with it."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    table = ResultsTable(tmp_path, lambda line: None)
    table.follow(0)
    assert not (tmp_path / "results.csv").exists(), "nothing has ended"
    make_results(tmp_path, rhos=(0.5,))
    table.follow(1)
    first = rows(tmp_path)
    make_results(tmp_path, rhos=(0.9,))
    now += 1
    table.follow(1)
    assert rows(tmp_path) == first
    now += EVERY_SECONDS
    table.follow(0)
    assert rows(tmp_path) == 2 * first


def test_a_directory_that_cannot_be_written_is_said_once_at_the_end(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.5,))
    (tmp_path / "results.csv").mkdir()
    said: list[str] = []
    table = ResultsTable(tmp_path, said.append)
    table.follow(1)
    assert said == []
    table.write()
    assert len(said) == 1
    assert said[0].startswith("results.csv and results.parquet were not written: ")
