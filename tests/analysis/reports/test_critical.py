from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import cli
from analysis.critical.diagnostics import NUMBERS
from analysis.critical.table import COLUMNS
from analysis.frames.csv_text import without_unused
from analysis.reports.critical import report
from analysis.requests.plot_request import PlotRequest
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]
FINE = tuple(np.round(np.arange(0.7, 1.005, 0.02), 3).tolist())


def test_one_table_says_what_is_known(make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]) -> None:
    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl)
    make_results(tmp_path, datasets=("glyphs:embedded",), rhos=FINE, seeds=(0,), top_kl=kinked_kl)
    done = CliRunner().invoke(cli.plot, ["critical", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    table = pd.read_csv(tmp_path / "figures" / "critical.csv")
    assert list(table) == list(without_unused(pd.DataFrame(columns=list(COLUMNS))))
    one, three = table.to_dict("records")
    assert three["interval90_low"] < 0.94 < three["interval90_high"]
    assert three["rho_critical"] == pytest.approx(0.94, abs=0.002)
    assert three["c_critical"] == pytest.approx(0.2 + 0.8 * 0.94**2, abs=0.004)
    assert (three["kind"], three["n_seeds"], three["n_rho"]) == ("kink", 3, len(FINE))
    assert (one["kind"], one["grid_low"] < 0.94 < one["grid_high"]) == ("bracket", True)
    for words in ("onset of the bulk, kink, width <= 0.02", "an interval needs 3 seeds", "ou_samples", "c_critical"):
        assert words in done.stdout
    assert "critical-diagnostics.csv" not in done.stdout


def test_diagnostics_are_labelled_as_such(
    make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]
) -> None:
    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl)
    found = report(PlotRequest([tmp_path]), diagnostics=True)
    assert [path.name for path in found.files] == ["critical.csv", "critical-diagnostics.csv"]
    assert any("no measure of the critical value's error" in note for note in found.notes)
    (row,) = pd.read_csv(found.files[1]).to_dict("records")
    assert row["first_threshold_low"] < 0.94 < row["first_threshold_high"]
    assert row["rho_half"] < row["rho_steepest"] + 0.3 < 1.3
    assert 0 < row["width_10_90"] < 0.3


@pytest.mark.parametrize(
    "kl", [lambda rho: 3.0, lambda rho: 0.0, lambda rho: 3 + rho, lambda rho: 0.1 + 0.02 * np.sin(99 * rho)]
)
def test_there_are_no_diagnostics_of_a_curve_that_does_not_fall(
    make_results: Make, tmp_path: Path, kl: Callable[[float], float]
) -> None:
    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=lambda cell: kl(cell.member.objective.rho))
    done = CliRunner().invoke(cli.plot, ["critical", str(tmp_path), "--diagnostics"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "no transition in this range of rho" in done.stdout
    (row,) = pd.read_csv(tmp_path / "figures" / "critical-diagnostics.csv").to_dict("records")
    assert not set(NUMBERS) & {name for name, value in row.items() if not pd.isna(value)}


def test_active_units_and_odd_seeds_are_said(make_results: Make, tmp_path: Path) -> None:
    def fall(cell: Cell) -> float:
        return 100 * max(0.0, (0.82 if cell.member.seed == 2 else 0.9) - cell.member.objective.rho) + 0.1

    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=fall, change=lambda _, result: {**result, "au_top": 3})
    found = report(PlotRequest([tmp_path]))
    assert "3 of 4 units still active at rho = 1" in found.text
    assert any("critical rho of seed 2 is more than 0.05 from the median" in note for note in found.notes)
    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), datasets=("noise:own",), top_kl=fall,
                 change=lambda _, result: {**result, "au_top": 0})  # fmt: skip
    assert "top layer inactive at every rho" in report(PlotRequest([tmp_path], datasets=["noise"])).text


@pytest.mark.parametrize("untrained", [False, True])
def test_a_top_layer_of_one_model_that_is_active_is_not_inactive_at_every_rho(
    make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float], untrained: bool
) -> None:
    """Not the median over seeds, and a model worse than independent pixels has its units as well."""

    def with_one(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        one = cell.member.seed == 1 and cell.member.objective.rho == 0.7
        return {**result, "au_top": int(one), "baseline": result["elbo"] + (1 if one and untrained else -1)}

    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl, change=with_one)
    found = report(PlotRequest([tmp_path]))
    assert "inactive" not in found.text
    assert (found.table["active_most"].item(), found.table["active_last"].item()) == (1, 0)


def test_seeds_that_are_still_under_way_are_why_three_do_not_do(
    make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]
) -> None:
    """`n_seeds` counts them, and `an interval needs 3 seeds` beside it would be a riddle."""

    def state(cell: Cell) -> str:
        return "pending" if cell.member.seed == 2 and 0.72 < cell.member.objective.rho < 0.99 else "complete"

    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl, state=state)
    (row,) = report(PlotRequest([tmp_path])).table.to_dict("records")
    assert (row["kind"], row["n_seeds"]) == ("bracket", 3)
    assert "an interval needs 3 seeds; so far fewer have enough values of rho" in row["verdict"]


def test_a_fall_without_a_foot_has_no_largest_width(make_results: Make, tmp_path: Path) -> None:
    """0.08 is the most that is tried: a curve that allows it may be wider."""

    def fall(cell: Cell) -> float:
        return float(9 * np.exp(-max(0.0, cell.member.objective.rho - 0.8) / 0.06)) + 0.01 * cell.member.seed

    make_results(tmp_path, rhos=(0.0, 0.5, *FINE), seeds=(0, 1, 2), top_kl=fall)
    (row,) = report(PlotRequest([tmp_path])).table.to_dict("records")
    assert (row["kind"], row["widest"]) == ("crossover", np.inf)
    assert row["verdict"].startswith(f"crossover of width >= {row['rounding']:g} at 3,000 steps")
