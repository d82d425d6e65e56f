"""The command `drift` on results directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import cli
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger

Make = Callable[..., list[Cell]]
FINE = tuple(np.round(np.arange(0.8, 1.005, 0.02), 3).tolist())


def run(*words: str) -> str:
    done = CliRunner().invoke(cli.plot, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_drift_needs_histories_and_says_how(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path)
    done = CliRunner().invoke(cli.plot, ["drift", str(tmp_path)])
    assert done.exit_code == 4
    assert "--eval-every" in done.output


def test_drift_reads_histories(make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]) -> None:
    cells = make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), train=TrainSpec(4000), top_kl=kinked_kl)
    (tmp_path / "again").mkdir()
    request = {"packs": [], "settings": {}, "request": {"data": []}}
    Ledger(tmp_path / "again").add_request(request, cells)
    for cell in cells:
        rows = [
            {"step": step, "elbo": -100.0, "kl_top": kinked_kl(cell) * (1 - 200 / step)}
            for step in (500, 1000, 2000, 4000)
        ]
        record = Ledger(tmp_path).record(cell.id)
        assert record is not None
        result = {**(record.result or {}), "kl_top": kinked_kl(cell)}
        Ledger(tmp_path / "again").complete(cell, result, {}, rows)
    said = run("drift", str(tmp_path / "again"))
    assert "at 4,000 steps" in said or "settled" in said
    table = pd.read_csv(tmp_path / "again" / "figures" / "drift.csv")
    assert table["step"].tolist() == [500, 1000, 2000, 4000]
    exponents = pd.read_csv(tmp_path / "again" / "figures" / "drift-exponents.csv")
    used = exponents[exponents["kl_per_unit"] > 0]
    assert used["exponent"].to_numpy() == pytest.approx(np.log2(0.95 / 0.9))
