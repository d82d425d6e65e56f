from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.curves import curves, settings
from analysis.gather import gather
from analysis.matched import on_rho_axis
from analysis.phase_transition import phase_transition
from hvae_core.spec import Member, ModelSpec, ObjectiveSpec, TrainSpec, retained_variance
from sweeps.cell import Cell
from sweeps.ledger import Ledger
from sweeps.methods import with_beta

Make = Callable[..., Any]
RHOS = (0.0, 0.5, 0.9, 1.0)


@pytest.fixture
def write(result: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    def make(root: Path, objectives: tuple[ObjectiveSpec, ...]) -> None:
        base = Cell("mnist", "embedded", "0" * 64, "static", ModelSpec.parse("mlp2x3h6"), Member(), TrainSpec(9))
        root.mkdir(exist_ok=True)
        ledger = Ledger(root)
        cells = [replace(base, member=Member(objective, 0)) for objective in objectives]
        ledger.add_request({"packs": [[c.id] for c in cells], "settings": {}, "request": {"data": []}}, cells)
        for cell in cells:
            ledger.complete(cell, result(kl_top=cell.member.objective.beta_top), {}, [])

    return make


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    def make(**changes: Any) -> dict[str, Any]:
        layers = {f"{name}_{i}": value for name, value in (("kl", 1.5), ("au", 3), ("au_path", 3)) for i in (1, 2)}
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
    assert len(phase_transition([tmp_path], formats=("svg",)).table) == 2


def test_everything_else_stays_as_it_is(tmp_path: Path, write: Make) -> None:
    """A single beta, a beta beside smoothing, one below 1/K and one above 1 are what they say."""
    beyond = (*with_beta(SMOOTHED[-1:], "0.1"), *with_beta(SMOOTHED[-1:], "2"))
    write(tmp_path, (*SMOOTHED, *with_beta(SMOOTHED, "0.5"), *beyond))
    frame = gather([tmp_path]).frame
    assert on_rho_axis(frame) is frame
