"""Where the next models go, and what an adaptive sweep costs and covers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from analysis.adaptive.placement import GRAIN, START, Guess, guess, next_round
from analysis.critical.linear import critical_rho, top_kl
from analysis.critical.rule import Estimate
from benchmarks.critical_adaptive import WORLDS, Curve, adaptive, pair, uniform
from benchmarks.critical_worlds import UNITS, World

OPEN = Guess(Estimate("kink"), 0.9, 0.02, 0.05, open=True)


@pytest.mark.parametrize("noise", WORLDS)
def test_it_takes_fewer_cells_than_a_uniform_grid_and_holds_the_truth(noise: str) -> None:
    generator = np.random.default_rng(4)
    pairs = [pair(generator, WORLDS[noise]) for _ in range(8)]
    outcomes = [adaptive(curves, 0.02) for curves in pairs]
    others = [uniform(curves, 0.02) for curves in pairs]
    ratios = [mine.cells / theirs for mine, theirs in zip(outcomes, others, strict=True) if theirs is not None]
    assert len(ratios) >= 6
    assert np.median(ratios) <= 0.4
    assert all(outcome.narrow for outcome in outcomes)
    assert np.mean([held for outcome in outcomes for held in outcome.holds]) >= 0.85


def test_points_lie_where_the_truth_may_be_and_are_new() -> None:
    plan = next_round({"a": OPEN}, {"a": [0, 1, 2]}, [0.85, 0.9])
    assert plan is not None
    assert plan.seeds == {}
    assert len(plan.rhos) == 4
    assert all(0.85 < rho <= 0.925 for rho in plan.rhos)
    assert not {0.85, 0.9} & set(plan.rhos)
    assert all(abs(rho / GRAIN - round(rho / GRAIN)) < 1e-9 for rho in plan.rhos)


def test_data_sets_share_points_and_one_that_is_known_has_no_say() -> None:
    far = Guess(Estimate("kink"), 0.6, 0.02, 0.05, open=True)
    done = Guess(Estimate("kink"), 0.3, 0.02, 0.05)
    plan = next_round({"a": OPEN, "b": far, "c": done}, {name: [0, 1, 2] for name in "abc"}, [])
    assert plan is not None
    assert sum(rho > 0.8 for rho in plan.rhos) == sum(rho < 0.7 for rho in plan.rhos) == 2
    assert next_round({"c": done}, {"c": [0]}, []) is None


def test_seeds_are_added_where_they_limit() -> None:
    limited = Guess(Estimate("kink"), 0.9, 0.02, 0.02, open=True, by_seeds=True, window=(0.8, 0.9, 1.0))
    plan = next_round({"a": limited}, {"a": [0, 1, 4]}, [])
    assert plan is not None
    assert (plan.rhos, plan.seeds, plan.windows) == ((), {"a": (5, 6)}, {"a": (0.8, 0.9, 1.0)})


def test_a_curve_that_is_narrow_enough_or_flat_is_not_open() -> None:
    grid = np.round(np.arange(0.5, 1.001, 0.02), 3)
    exact = np.stack([top_kl(grid, [0.6] * UNITS, 5)] * 3)
    assert not guess(grid, exact, UNITS, 0.02).open
    finer = guess(grid, exact, UNITS, 0.005)
    assert finer.open
    assert not finer.by_seeds
    assert not guess(grid, np.zeros_like(exact), UNITS, 0.02).open
    apart = np.stack([top_kl(grid, [r] * UNITS, 5) for r in (0.57, 0.6, 0.63)])
    assert guess(grid, apart, UNITS, 0.02).by_seeds
    logistic = 20 / (1 + np.exp((grid - 0.8) / 0.04))
    assert not guess(grid, np.stack([logistic] * 3), UNITS, 0.02).open


def test_a_fall_between_two_points_of_the_first_grid_is_found() -> None:
    """Real curves fall between 0.9 and 1, where the first round has no other point: too few for a fit."""
    exact = np.stack([top_kl(np.array(START), [0.94] * UNITS, 5)] * 3)
    first = guess(np.array(START), exact, UNITS, 0.02)
    assert first.open
    rho_c = critical_rho(0.94, 5)
    plan = next_round({"a": first}, {"a": [0, 1, 2]}, START)
    assert plan is not None
    assert sum(0.9 < rho < 1 for rho in plan.rhos) >= 3
    ratios = (0.94, 0.95)
    worlds = [World(partial(top_kl, ratios=[r] * UNITS, K=5), critical_rho(r, 5)) for r in ratios]
    curves = [Curve(world, WORLDS["alike"], i) for i, world in enumerate(worlds)]
    outcome = adaptive(curves, 0.02)
    assert rho_c > 0.95
    assert outcome.narrow
    assert all(outcome.holds)
