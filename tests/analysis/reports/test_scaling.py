"""The command `scaling` on results directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import cli
from analysis.reports.scaling import TOO_FEW
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]
FINE = tuple(np.round(np.arange(0.8, 1.005, 0.02), 3).tolist())


def run(*words: str) -> str:
    done = CliRunner().invoke(cli.plot, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_scaling_divides_by_units(make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]) -> None:
    for model, steps in (("mlp2x4h8", 1000), ("mlp2x8h8", 1000), ("mlp2x8h8", 2000)):
        make_results(tmp_path, models=(model,), rhos=FINE, seeds=(0, 1, 2), train=TrainSpec(steps), top_kl=kinked_kl)
    run("scaling", str(tmp_path))
    table = pd.read_csv(tmp_path / "figures" / "scaling.csv").sort_values(["units", "steps"])
    assert table["units"].tolist() == [4, 8, 8]
    assert table["kl_per_unit"].iloc[0] == pytest.approx(2 * table["kl_per_unit"].iloc[1])
    assert (table["kl_per_unit_low"] < table["kl_per_unit"]).all()
    assert table["onset"].to_numpy() == pytest.approx(0.94, abs=2e-3)
    assert (table["share_active"] == 0).all()
    assert (tmp_path / "figures" / "scaling.png").is_file()


def test_one_width_compares_nothing(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path)
    assert TOO_FEW in run("scaling", str(tmp_path))
