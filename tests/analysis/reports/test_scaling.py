"""The command `scaling` on results directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import cli
from analysis.axes.paper import Paper
from analysis.critical.scaling import scaling_table
from analysis.figures.scaling import LABELS, draw_scaling, groups_of
from analysis.frames.gather import gather
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


def test_depths_are_lines_of_their_own(make_results: Make, tmp_path: Path) -> None:
    """Models of one width and two depths would be a line that goes straight up."""
    make_results(tmp_path, models=("mlp2x4h8", "mlp3x4h8", "mlp2x8h8"))
    table = scaling_table(gather([tmp_path]).frame)
    assert [(name, rows["units"].tolist()) for name, rows in groups_of(table)] == [
        ("mnist:embedded, 2 layers, K = 5, 3,000 steps", [4, 8]),
        ("mnist:embedded, 3 layers, K = 5, 3,000 steps", [4]),
    ]


def test_a_quantity_without_a_value_has_no_panel_and_the_reason_is_said(make_results: Make, tmp_path: Path) -> None:
    """Falls without a kink have no onset."""
    make_results(tmp_path, models=("mlp2x4h8", "mlp2x8h8"), seeds=(0, 1, 2))
    table = scaling_table(gather([tmp_path]).frame)
    assert set(table["kind"]) == {"crossover"}
    for paper in (Paper("column"), Paper("page")):
        figure = draw_scaling(table, paper=paper)
        labels = [ax.get_ylabel() for ax in figure.axes]
        assert labels == [LABELS[name] for name in ("kl_per_unit", "share_active", "rounding")]
        named = [ax for ax in figure.axes if ax.get_xlabel()]
        assert len(named) == (2 if paper.width == "column" else 3), "the lowest of each column names its units"
    assert "no panel of onset" in run("scaling", str(tmp_path))


def test_lines_that_coincide_stand_apart_and_scales_are_read_as_they_are(make_results: Make, tmp_path: Path) -> None:
    """Two data sets of the same numbers; values that differ in rounding alone do not fill a panel."""
    data = ("mnist:embedded", "glyphs:embedded")
    for model, kl in (("mlp2x4h8", 4.0), ("mlp2x8h8", 8.0 + 1e-9)):
        make_results(tmp_path, datasets=data, models=(model,), rhos=FINE, top_kl=lambda cell, kl=kl: kl)
    figure = draw_scaling(scaling_table(gather([tmp_path]).frame))
    (plateau,) = [ax for ax in figure.axes if ax.get_ylabel() == LABELS["kl_per_unit"]]
    first, second = [line for line in plateau.lines if line.get_gid() == "kl_per_unit"]
    assert (np.asarray(first.get_xdata()) < np.asarray(second.get_xdata())).all()
    assert plateau.get_ylim()[0] < 0 < 1 < plateau.get_ylim()[1]
    (share,) = [ax for ax in figure.axes if ax.get_ylabel() == LABELS["share_active"]]
    assert share.get_ylim() == (-0.04, 1.04)
