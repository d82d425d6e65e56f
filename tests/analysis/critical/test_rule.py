"""The rule in small: simulated coverage, bias and abstentions (with 200 repetitions: `benchmarks/critical.py`)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.critical.free_exponent import first_threshold
from analysis.critical.kink import ROUNDINGS
from analysis.critical.linear import top_kl
from analysis.critical.rule import Estimate, estimate, in_words
from benchmarks.critical import anywhere, late, simulate
from benchmarks.critical_worlds import (
    NOISES,
    QUICK,
    UNITS,
    cascade,
    exponential,
    flat,
    linear,
    logistic,
    power_law,
    step,
)


def test_mild_noise_on_a_fine_grid() -> None:
    tally = simulate(anywhere, step(0.02), 5, "mild", 60)
    assert tally.rms <= 0.001
    assert tally.coverage == 1
    assert sum(each.has_value for each in tally.estimates) >= 56


def test_middling_noise_on_a_fine_grid() -> None:
    tally = simulate(anywhere, step(0.02), 5, "mid", 60)
    assert tally.rms <= 0.004
    assert tally.coverage >= 0.9
    assert tally.width <= 0.015


@pytest.mark.parametrize(("noise", "least"), [("mild", 0.9), ("mid", 0.9), ("hard", 0.85)])
def test_the_quick_grid_holds_the_truth(noise: str, least: float) -> None:
    assert simulate(late, QUICK, 5, noise, 80).coverage >= least


@pytest.mark.parametrize("seeds", [3, 10])
def test_hard_noise_holds_the_truth(seeds: int) -> None:
    assert simulate(anywhere, step(0.02), seeds, "hard", 80).coverage >= 0.85


@pytest.mark.parametrize("grid", [step(0.01), step(0.02), step(0.01, 0.7)], ids=["0.01", "0.02", "from 0.7"])
@pytest.mark.parametrize("fall", [exponential, logistic])
@pytest.mark.parametrize("noise", ["mild", "mid"])
def test_falls_without_a_kink_get_no_value(grid: np.ndarray, fall: object, noise: str) -> None:
    tally = simulate(fall, grid, 5, noise, 40)  # type: ignore[arg-type]
    assert sum(each.has_value for each in tally.estimates) <= 2


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("grid", [step(0.02), QUICK], ids=["0.02", "quick"])
def test_flat_curves_get_no_value(grid: np.ndarray, noise: str) -> None:
    assert set(simulate(flat, grid, 5, noise, 60).kinds) == {"flat"}


@pytest.mark.parametrize("world", [power_law, cascade])
@pytest.mark.parametrize("noise", NOISES)
def test_a_value_of_a_cascade_is_called_the_onset_of_the_bulk(world: object, noise: str) -> None:
    for found in simulate(world, step(0.02), 5, noise, 40).estimates:  # type: ignore[arg-type]
        said = in_words(found, UNITS, 1000)
        assert not found.has_value or "onset of the bulk" in said


def test_three_points_left_and_two_right_are_enough() -> None:
    generator = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        world, gap = linear(generator, 0.6, 0.9), float(generator.uniform(0.025, 0.045))
        grid = world.truth + gap * (np.arange(-3.0, 2.0) + generator.uniform(0.1, 0.9))
        found = estimate(grid, world.draw(generator, grid, 3, NOISES["mild"]), UNITS)
        refused += not found.has_value
    assert refused <= 3


def test_one_or_two_seeds_give_a_bracket_that_holds_the_truth() -> None:
    for seeds in (1, 2):
        tally = simulate(anywhere, step(0.02), seeds, "mid", 60)
        assert not any(each.has_value for each in tally.estimates)
        pairs = [(e.bracket, t) for e, t in zip(tally.estimates, tally.truths, strict=True) if e.kind == "bracket"]
        assert len(pairs) >= 55
        assert all(low <= truth <= high for (low, high), truth in pairs)


def test_the_first_threshold_of_a_cascade() -> None:
    generator, held = np.random.default_rng(2), 0
    for _ in range(40):
        world = cascade(generator)
        found = first_threshold(step(0.02), world.draw(generator, step(0.02), 5, NOISES["mid"]))
        held += found.low <= world.truth <= found.high
    assert held >= 36


EXACT = np.stack([top_kl(step(0.02), [0.6] * UNITS, 5)] * 3)


def on(keep: object) -> Estimate:
    grid = step(0.02)
    kept = keep(grid)  # type: ignore[operator]
    return estimate(grid[kept], EXACT[:, kept], UNITS)


@pytest.mark.parametrize(
    ("keep", "kind", "words"),
    [
        (lambda g: g >= 0, "kink", "onset of the bulk, kink, width <= 0.02"),
        (lambda g: np.isin(g, [0.6, 0.68]) | (g >= 0.72), "unbracketed", "the grid does not bracket the onset"),
        (lambda g: g <= 0.72, "unbracketed", "the grid does not bracket the onset"),
        (lambda g: np.isin(g, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), "coarse", "grid too coarse: a gap of 0.2"),
        (lambda g: np.isin(g, [0, 0.2, 0.4, 1.0]), "few", "too few rho values: 5 are needed"),
        (lambda g: g > 0.72, "flat", "no transition in this range of rho"),
    ],
)
def test_every_verdict_in_words(keep: object, kind: str, words: str) -> None:
    found = on(keep)
    assert found.kind == kind
    assert in_words(found, UNITS, 4000).startswith(words)
    assert found.has_value == (kind == "kink") == (not math.isnan(found.rho))


@pytest.mark.parametrize(
    ("rounding", "widest", "words"),
    [(0.01, 0.02, "0.01 to 0.02"), (0.01, 0.01, "0.01"), (0.02, ROUNDINGS[-1], ">= 0.02")],
)
def test_the_width_of_a_crossover_is_the_range_that_the_curve_allows(
    rounding: float, widest: float, words: str
) -> None:
    found = Estimate("crossover", rounding=rounding, widest=widest, gap=0.02)
    assert in_words(found, UNITS, 4000) == f"crossover of width {words} at 4,000 steps"
    undecided = Estimate("undecided", widest=widest, gap=0.002)
    width = "of any width" if widest == ROUNDINGS[-1] else f"of width <= {widest:g}"
    assert in_words(undecided, 1, 4000) == f"kink or crossover {width}: cannot tell"


def test_a_seed_far_from_the_others_is_named() -> None:
    found = estimate(step(0.02), np.stack([EXACT[0]] * 4 + [top_kl(step(0.02), [0.8] * UNITS, 5)]), UNITS)
    assert found.apart == [4]


def test_the_interval_is_wider_for_a_coarser_grid_and_for_seeds_that_differ() -> None:
    def width(size: float, spread: float) -> float:
        grid = step(size)
        ratios = 0.6 + spread * np.array([-1, 0, 1])
        found = estimate(grid, np.stack([top_kl(grid, [r] * UNITS, 5) for r in ratios]), UNITS)
        assert found.low <= math.sqrt(0.5) <= found.high
        return found.high - found.low

    for size in (0.01, 0.02, 0.05):  # seeds alike: the grid alone
        assert width(size, 0) == pytest.approx(size / 2)
    assert width(0.02, 0) < width(0.02, 0.02) < width(0.02, 0.05)


def test_a_wide_gap_on_the_left_widens_the_interval() -> None:
    grid = np.array([0.0, 0.4, 0.66, *np.arange(0.7, 1.001, 0.02)])  # rho_c = 0.707
    found = estimate(grid, np.stack([top_kl(grid, [0.6] * UNITS, 5)] * 3), UNITS)
    assert found.gap == pytest.approx(0.02)
    assert found.high - found.low >= 2 * 0.04 / 8
    near = np.array([0.0, 0.4, 0.68, *np.arange(0.7, 1.001, 0.02)])
    finer = estimate(near, np.stack([top_kl(near, [0.6] * UNITS, 5)] * 3), UNITS)
    assert finer.high - finer.low == pytest.approx(0.01)
    wide = np.array([0.0, 0.2, 0.4, *np.arange(0.7, 1.001, 0.02)])
    widest = estimate(wide, np.stack([top_kl(wide, [0.6] * UNITS, 5)] * 3), UNITS)
    assert widest.high - widest.low == pytest.approx(2 * 0.3 / 8)


def test_a_rounding_that_is_resolved_widens_the_interval() -> None:
    grid, scale = step(0.01, 0.5), 2 * 0.8 * 0.003
    curve = 60 * scale * np.logaddexp(0, (0.64 - grid**2) / scale)
    found = estimate(grid, np.stack([curve] * 3), UNITS)
    assert found.has_value
    assert 0 < found.rounding <= found.gap / 4
    assert found.high - found.low == pytest.approx(4 * found.rounding)
    assert found.low <= 0.8 <= found.high
