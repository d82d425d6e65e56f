from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.critical.table import critical_table
from analysis.frames.curves import curves
from analysis.frames.gather import gather
from analysis.frames.matched_beta import on_rho_axis
from analysis.phase.phase_transition import draw_phase_transition as draw
from analysis.reports.phase_transition import report
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.summary import summarise
from analysis.words.curves import curves_in_words
from analysis.words.settings import settings
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec, retained_variance
from sweeps.grid.cell import Cell
from sweeps.grid.methods import with_beta
from sweeps.ledger.ledger import Ledger


def draw_phase_transition(frame: pd.DataFrame, critical: pd.DataFrame | None = None, **settings: Any) -> Figure:
    """Draw a frame with its own summary and critical values."""
    return draw(frame, summarise(frame), critical_table(frame) if critical is None else critical, **settings)


Make = Callable[..., Any]
RHOS = (0.0, 0.5, 0.9, 1.0)


@pytest.fixture
def write(result: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    def make(
        root: Path,
        objectives: tuple[ObjectiveSpec, ...],
        model: str = "mlp2x3h6",
        top_kl: Callable[[ObjectiveSpec], float] = lambda objective: objective.beta_top,
    ) -> None:
        base = Cell("mnist", "embedded", "0" * 64, "static", parse_model(model), Member(), TrainSpec(9))
        root.mkdir(exist_ok=True)
        ledger = Ledger(root)
        cells = [replace(base, member=Member(objective, 0)) for objective in objectives]
        ledger.add_request({"packs": [[c.id] for c in cells], "settings": {}, "request": {"data": []}}, cells)
        for cell in cells:
            ledger.complete(cell, result(kl_top=top_kl(cell.member.objective)), {}, [])

    return make


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    def make(**changes: Any) -> dict[str, Any]:
        layers = {f"{name}_{i}": value for name, value in (("kl", 1.5), ("au", 3), ("au_path", 3)) for i in range(1, 6)}
        whole = {"elbo": -9.0, "recon": -6.0, "kl_total": 3.0, "kl_top": 1.5, "au_top": 3, **layers}
        return {**whole, "seconds": 1.0, "pack_size": 2, "device": "cpu", "ll_examples": 0, **changes}

    return make


SMOOTHED = tuple(ObjectiveSpec(rho) for rho in RHOS)


def test_a_matched_sweep_is_one_curve_over_the_rho_it_matches(tmp_path: Path, write: Make) -> None:
    write(tmp_path, with_beta(SMOOTHED, "matched"))
    (curve,) = curves(on_rho_axis(gather([tmp_path]).frame))
    assert sorted(curve.rows["rho"]) == pytest.approx(RHOS)
    for _, row in curve.rows.iterrows():
        assert row["kl_top"] == pytest.approx(retained_variance(row["rho"], 5))
    assert curve["beta_top"] is None
    assert "unsmoothed" in settings(curve)["beta_top"]


def test_beside_the_smoothed_sweep_both_have_the_plain_model(tmp_path: Path, write: Make) -> None:
    write(tmp_path, tuple(dict.fromkeys((*with_beta(SMOOTHED, "matched"), *SMOOTHED))))
    found = curves(on_rho_axis(gather([tmp_path]).frame))
    smoothed, matched = sorted(found, key=lambda curve: curve["beta_top"] is None)
    assert sorted(smoothed.rows["rho"]) == sorted(matched.rows["rho"]) == pytest.approx(RHOS)
    assert len(report(PlotRequest([tmp_path], formats=("svg",))).table) == 2


def test_a_legend_says_which_is_smoothed(tmp_path: Path, write: Make) -> None:
    both = tuple(dict.fromkeys((*with_beta(SMOOTHED, "matched"), *SMOOTHED)))
    write(tmp_path, (*both, *with_beta(SMOOTHED, "0.5")))
    frame = on_rho_axis(gather([tmp_path]).frame)
    for rows, expected in (
        (frame, {"smoothed", "smoothed; β_top = 0.5", "matched β_top; unsmoothed"}),
        (frame[frame["beta_top"] != 0.5], {"smoothed", "matched β_top; unsmoothed"}),
        (frame[frame["beta_top"].notna()], {"β_top = 1", "β_top = 0.5"}),
    ):
        _, own = curves_in_words(curves(rows))
        assert {"; ".join(words[2:]) for words in own} == expected
    shared, _ = curves_in_words(curves(frame[frame["beta_top"].isna()]))
    assert shared[1:3] == ["matched β_top", "unsmoothed"]


def test_four_models_have_room_for_the_words(tmp_path: Path, write: Make) -> None:
    """No legend reaches into the next."""
    both = tuple(dict.fromkeys((*with_beta(SMOOTHED, "matched"), *SMOOTHED)))
    for model in ("mlp2x3h6", "mlp3x3h6", "mlp4x3h6", "mlp5x3h6"):
        write(tmp_path / model, both, model, top_kl=lambda o: 20 * (0.9 - o.beta_top * (0.2 + 0.8 * o.rho**2)) + 2)
    frame = on_rho_axis(gather([tmp_path]).frame)
    figure = draw_phase_transition(frame)
    figure.draw_without_rendering()
    boxes = sorted((legend.get_window_extent() for legend in figure.legends), key=lambda box: box.x0)
    assert len(boxes) == 5
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))
    assert boxes[-1].x1 <= figure.bbox.x1


@pytest.mark.parametrize("rhos", [RHOS, (0.5, 0.9, 0.95)])
def test_the_printed_table_says_the_range_of_the_weights(tmp_path: Path, write: Make, rhos: tuple[float, ...]) -> None:
    write(tmp_path, with_beta(tuple(map(ObjectiveSpec, rhos)), "matched"))
    head, line = report(PlotRequest([tmp_path], formats=())).text.splitlines()
    low, high = (retained_variance(rho, 5) for rho in (rhos[0], rhos[-1]))
    assert dict(zip(head.split(), line.split(), strict=False))["beta_top"] == f"{low:.3g}–{high:.3g}"
    write(tmp_path, SMOOTHED)
    lines = [line.split() for line in report(PlotRequest([tmp_path], formats=())).text.splitlines()]
    assert [line[lines[0].index("beta_top")] for line in lines[1:]].count("1") == 1


def test_everything_else_stays_as_it_is(tmp_path: Path, write: Make) -> None:
    """A single beta, a beta beside smoothing, one below 1/K and one above 1 are what they say."""
    beyond = (*with_beta(SMOOTHED[-1:], "0.1"), *with_beta(SMOOTHED[-1:], "2"))
    write(tmp_path, (*SMOOTHED, *with_beta(SMOOTHED, "0.5"), *beyond))
    frame = gather([tmp_path]).frame
    assert on_rho_axis(frame) is frame
