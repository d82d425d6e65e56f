"""Cells that blew up without a NaN: marked everywhere, and nothing is read from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.critical.table import critical_table
from analysis.frames.baseline import below_baseline, blown_up_apart
from analysis.frames.gather import gather
from analysis.phase.phase_transition import UNTRAINED as LABEL
from analysis.reports import phase_transition, table
from analysis.requests.plot_request import PlotRequest
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger
from sweeps.watching.live_progress import describe
from sweeps.watching.status import read_status

Make = Callable[..., list[Cell]]
BASELINE = -206.4


def spoil(elbos: dict[float, float]) -> Callable[[Cell, dict[str, Any]], dict[str, Any]]:
    """Give every cell a baseline, and those at these rho an ELBO and a top KL of a training that blew up."""

    def change(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        rho = cell.member.objective.rho
        blown = {"elbo": elbos[rho], "kl_top": 15e6} if rho in elbos else {}
        return {**result, "baseline": BASELINE, **blown}

    return change


def test_a_cell_is_below_only_where_a_baseline_is_known() -> None:
    rows = pd.DataFrame(
        {
            "state": ["complete", "complete", "complete", "pending"],
            "elbo": [-206.5, -206.3, -1e9, math.nan],
            "baseline": [BASELINE, BASELINE, math.nan, math.nan],
        }
    )
    assert below_baseline(rows).tolist() == [True, False, False, False]
    assert below_baseline(rows, 2.0).tolist() == [False] * 4
    assert not below_baseline(rows.drop(columns="baseline")).any()


def test_no_critical_value_is_read_from_them(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "clean", change=spoil({}))
    make_results(tmp_path / "blown", change=spoil({0.0: -95_233_682_133.0, 0.97: -300.0}))
    clean, blown = (critical_table(gather([tmp_path / name]).frame).iloc[0] for name in ("clean", "blown"))
    assert blown["plateau"] < 25
    assert blown["n_rho"] == clean["n_rho"] - 2
    assert blown["rho_crossing"] == pytest.approx(clean["rho_crossing"], abs=0.03)
    make_results(tmp_path / "all", change=lambda cell, result: {**result, "baseline": 0.0})
    assert critical_table(gather([tmp_path / "all"]).frame)["verdict"].tolist() == [
        "worse than independent pixels at every rho"
    ]


def test_they_are_marked_in_the_figure_the_notes_and_the_status(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, change=spoil({0.0: -95e9, 0.97: -300.0}))
    request = PlotRequest([tmp_path], formats=("svg",))
    report = phase_transition.report(request)
    (note,) = [note for note in report.notes if "independent pixels" in note]
    assert note.startswith("2 of 11 cells have an ELBO below that of independent pixels at the training mean")
    assert "mnist (-206.40) nats" in note
    assert "rho 0, 0.97" in note
    text = (tmp_path / "figures" / "phase-transition.svg").read_text()
    assert LABEL in text
    summary = pd.read_csv(tmp_path / "figures" / "phase-transition.csv")
    assert summary["kl_top_max"].max() == 15e6, "near the baseline it is drawn, and marked"
    assert 0.0 not in summary["rho"].tolist(), "far below it nothing is drawn to scale"
    assert any("independent pixels" in note for note in table.report(request).notes)
    (curve,) = read_status(Ledger(tmp_path)).curves
    assert curve.untrained == 2
    assert "11 complete (2 worse than independent pixels)" in curve.lines("12345678")[0]
    record = next(r for r in Ledger(tmp_path).records() if r.cell.member.objective.rho == 0.97)
    assert describe(record).endswith("ELBO -300.00, worse than independent pixels (-206.40)")


def test_blown_up_cells_have_a_state_of_their_own(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.5, 0.9), change=spoil({0.5: -1e6, 0.9: -300.0}))
    frame = blown_up_apart(gather([tmp_path]).frame)
    assert frame["state"].tolist() == ["untrained", "complete"]
