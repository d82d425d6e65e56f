"""Jumps are told from kinks, and their interval is the gap that they lie in."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.critical.jump import find_jump
from analysis.critical.kink import Kink, Window
from analysis.critical.linear import critical_rho, top_kl
from analysis.critical.rule import estimate, in_words
from benchmarks.critical import anywhere, late, simulate
from benchmarks.critical_worlds import QUICK, UNITS, jump, step

GRID = step(0.01)


def falling(height: float, place: float = 0.905) -> np.ndarray:
    return np.where(place > GRID, height + 30 * (place - GRID), 0.0)


@pytest.mark.parametrize("noise", ["mild", "mid", "hard"])
def test_its_interval_holds_the_jump(noise: str) -> None:
    tally = simulate(jump, GRID, 5, noise, 60)
    assert tally.kinds["jump"] >= 54
    assert tally.coverage >= 0.9


@pytest.mark.parametrize(("draw", "grid"), [(anywhere, step(0.02)), (anywhere, step(0.05)), (late, QUICK)])
@pytest.mark.parametrize("noise", ["mild", "mid", "hard"])
def test_kinks_are_none(draw: object, grid: np.ndarray, noise: str) -> None:
    assert simulate(draw, grid, 5, noise, 60).kinds["jump"] <= 3  # type: ignore[arg-type]


def test_its_place_and_height() -> None:
    found = find_jump(Kink.fit(Window.of(GRID, np.stack([falling(4)] * 3))))
    assert found is not None
    assert found.left == pytest.approx([0.9] * 3)
    assert found.right == pytest.approx([0.91] * 3)
    exact = estimate(GRID, np.stack([falling(4)] * 3), UNITS)
    assert (exact.low, exact.high) == pytest.approx((0.9, 0.91))
    assert exact.step == pytest.approx(4 + 30 * 0.005)
    assert exact.step == pytest.approx(found.step * falling(4)[0])
    assert "nats fall between 0.9 and 0.91: a jump" in in_words(exact, UNITS, 1000)


def test_a_kink_that_is_exact_is_none() -> None:
    for ratio in (0.5, 0.7, 0.85):
        assert find_jump(Kink.fit(Window.of(GRID, np.stack([top_kl(GRID, [ratio] * UNITS, 5)] * 3)))) is None


def test_seeds_that_jump_in_different_gaps_widen_the_interval() -> None:
    found = estimate(GRID, np.stack([falling(4, place) for place in (0.885, 0.895, 0.905)]), UNITS)
    assert found.kind == "jump"
    assert found.bracket == pytest.approx((0.88, 0.91))
    assert found.rho == pytest.approx(0.895)
    assert found.high - found.low > 0.02


def test_one_seed_gives_the_gap() -> None:
    found = estimate(GRID, falling(4)[None], UNITS)
    assert found.kind == "bracket"
    assert found.bracket == pytest.approx((0.9, 0.91))


@pytest.mark.parametrize("power", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("place", [0.9, 0.904, 0.907])
def test_an_onset_of_infinite_slope_is_held_as_well(power: float, place: float) -> None:
    curve = 20 * np.maximum(place**2 - GRID**2, 0) ** power
    found = estimate(GRID, np.stack([curve] * 3), UNITS)
    assert found.kind == "jump"
    assert found.low <= place <= found.high + 1e-9


@pytest.mark.parametrize("size", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize(("ratio", "K"), [(0.45, 20), (0.6, 5), (0.8, 5), (0.9, 10)])
def test_the_solved_curve_without_noise_has_a_kink(size: float, ratio: float, K: int) -> None:
    found = estimate(step(size), np.stack([top_kl(step(size), [ratio] * UNITS, K)] * 5), UNITS)
    assert found.kind in ("kink", "undecided")
    assert found.low <= critical_rho(ratio, K) <= found.high
