"""The critical rho of curves whose critical rho is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.frames.curves import CURVE
from analysis.summaries.critical import (
    COLLAPSED,
    COLUMNS,
    NO_COLLAPSE,
    NUMBERS,
    PARTIAL,
    RETURNS,
    TOO_FEW,
    TRANSITION,
    CriticalRho,
)
from hvae_core.spec import retained_variance

DECLARED: dict[str, Any] = {
    **{"dataset": "mnist", "source": "embedded", "checksum": "0" * 64, "binarise": "static", "model": "mlp4x40"},
    **{"ou_samples": 5, "smoothing": "mean_std", "beta_top": 1.0, "kl_anneal": None, "free_bits": math.nan},
    **{"iwae_k": 1, "steps": 3000, "batch_size": 100, "lr": 1e-3, "precision": "float32"},
}
Values = Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]


def frame_of(rho: Values, seeds: Mapping[int, Values], **declared: object) -> pd.DataFrame:
    """Cells of one curve: top KL in nats by seed and rho; NaN is a cell that is still pending."""
    rows = [
        {**DECLARED, **declared, "rho": r, "seed": seed, "kl_top": kl, "state": "pending" if kl != kl else "complete"}
        for seed, values in seeds.items()
        for r, kl in zip(rho, values, strict=True)
    ]
    return pd.DataFrame(rows)


def only(frame: pd.DataFrame, rule: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> dict[str, Any]:
    found = (rule or CriticalRho())(frame)
    assert list(found) == list(COLUMNS)
    assert len(found) == 1
    return {str(name): value for name, value in found.iloc[0].items()}


def test_a_straight_fall_is_extended_to_its_foot() -> None:
    row = only(frame_of([0, 0.4, 0.8, 1], {0: [10, 10, 0, 0]}))
    assert row["rho_critical"] == pytest.approx(0.8)
    assert row["rho_half"] == pytest.approx(0.6)
    assert row["plateau"] == 10
    assert row["steepness"] == pytest.approx(0.01 * 10 / 0.4)
    assert row["width_10_90"] == pytest.approx(0.8 * 0.4)
    assert row["c_critical"] == pytest.approx(0.64 * 0.8 + 0.2)
    assert row["verdict"] == TRANSITION
    assert (row["n_rho"], row["n_seeds"]) == (4, 1)


def test_what_is_left_beyond_the_transition_moves_nothing() -> None:
    """A residue under the whole curve, such as an unfinished collapse leaves, shifts the KL and not the onset."""
    without, residue = ([10, 10, 0, 0], [11, 11, 1, 1])
    rows = [only(frame_of([0, 0.4, 0.8, 1], {0: values})) for values in (without, residue)]
    assert rows[0]["rho_critical"] == pytest.approx(rows[1]["rho_critical"])
    assert rows[0]["steepness"] == pytest.approx(rows[1]["steepness"])


def test_step_lies_between_its_neighbours() -> None:
    row = only(frame_of([0, 0.8, 0.9, 0.92, 1], {0: [20, 20, 20, 0, 0]}))
    assert row["rho_half"] == pytest.approx(0.91)
    assert row["rho_critical"] == pytest.approx(0.92)
    assert (row["bracket_low"], row["bracket_high"]) == (0.9, 0.92)
    assert row["width_10_90"] == pytest.approx(0.8 * 0.02)


@pytest.mark.parametrize(("critical", "width"), [(0.3, 0.02), (0.7, 0.05), (0.94, 0.008)])
def test_sigmoid_is_found_on_a_fine_grid(critical: float, width: float) -> None:
    """A sigmoid falls to 30 % at log(7/3) and to 10 % at log(9) widths beyond its middle."""
    rho = np.linspace(0, 1, 2001)
    row = only(frame_of(rho, {0: 25 / (1 + np.exp((rho - critical) / width))}))
    assert row["rho_half"] == pytest.approx(critical, abs=2e-3)
    onset = critical + width * (1.5 * math.log(9) - 0.5 * math.log(7 / 3))
    assert row["rho_critical"] == pytest.approx(onset, abs=3e-3)
    assert row["width_10_90"] == pytest.approx(2 * width * math.log(9), rel=0.02)


def solvable_top_kl(rho: float, ratio: float, K: int) -> float:
    """Top KL of the trained linear two-layer model, in closed form (unit lower std, weight 1 on the top KL).

    w maximises -1/2 [ r/(1 + w) + log(1 + c w) ]: r (1 + c w) = c (1 + w)^2, if r > c. Then t^2 = 1/(1 + c w),
    V = W/(1 + W^2), KL = 1/2 [V^2 r + t^2 - 1 - log t^2] with W^2 = w.
    """
    c = retained_variance(rho, K)
    if ratio <= c:
        return 0.0
    w = max(np.roots([c, 2 * c - ratio * c, c - ratio]).real)
    spread = 1 / (1 + c * w)
    return float(0.5 * (w / (1 + w) ** 2 * ratio + spread - 1 - math.log(spread)))


@pytest.mark.parametrize(("ratio", "K"), [(0.6, 5), (0.8, 5), (0.8, 10), (0.95, 5)])
@pytest.mark.parametrize("points", [41, 201])
def test_the_onset_is_the_threshold_of_the_solvable_model(ratio: float, K: int, points: int) -> None:
    """rho_c = sqrt((r - 1/K) / (1 - 1/K)); an estimate at half height misses it by more than 0.1."""
    threshold = math.sqrt((ratio - 1 / K) / (1 - 1 / K))
    rho = np.linspace(0, 1, points)
    row = only(frame_of(rho, {0: [solvable_top_kl(r, ratio, K) for r in rho]}, ou_samples=K), CriticalRho(floor=0))
    assert row["rho_critical"] == pytest.approx(threshold, abs=0.005)
    assert row["bracket_low"] <= threshold <= row["bracket_high"] + 1 / (points - 1)
    assert row["c_critical"] == pytest.approx(ratio, abs=0.01)
    assert row["rho_half"] < threshold - 0.1


def test_the_last_of_several_falls_counts() -> None:
    row = only(frame_of([0, 0.2, 0.4, 0.6, 0.8, 1], {0: [10, 0, 10, 10, 0, 0]}))
    assert row["rho_half"] == pytest.approx(0.7)
    assert row["rho_critical"] == pytest.approx(0.8)


def test_the_median_over_seeds_is_what_falls() -> None:
    row = only(frame_of([0, 0.5, 1], {0: [10, 5, 0], 1: [10, 10, 10], 2: [10, 5, 0]}))
    assert row["rho_half"] == 0.5


def test_pending_cells_count_for_nothing() -> None:
    nan = math.nan
    row = only(frame_of([0, 0.25, 0.5, 1], {0: [10, nan, 5, 0], 1: [nan, nan, 5, nan]}))
    assert (row["rho_half"], row["n_rho"], row["n_seeds"]) == (0.5, 3, 2)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.9, 0.4, 0.0, 0.0], COLLAPSED),
        ([10, 10, 9, 5], NO_COLLAPSE),
        ([10, 8, 4, 2], PARTIAL),
        ([2, 3, 5, 10], NO_COLLAPSE),
        ([10, 0, math.nan, math.nan], TOO_FEW),
        ([0, math.nan, math.nan, math.nan], TOO_FEW),
    ],
)
def test_no_transition_is_said_in_words(values: Sequence[float], verdict: str) -> None:
    row = only(frame_of([0, 0.5, 0.9, 1], dict.fromkeys(range(4), values)))
    assert row["verdict"] == verdict
    assert all(math.isnan(row[name]) for name in NUMBERS)


def test_a_layer_that_comes_back_is_said() -> None:
    row = only(frame_of([0, 0.5, 0.75, 1], {0: [10, 0, 0, 8]}))
    assert row["verdict"] == RETURNS
    assert row["rho_half"] == 0.25
    assert row["rho_critical"] == pytest.approx(0.5)


def test_no_complete_cell_gives_no_row() -> None:
    found = CriticalRho()(frame_of([0, 0.5, 1], {0: [math.nan] * 3}))
    assert found.empty
    assert list(found) == list(COLUMNS)


@pytest.mark.parametrize("name", CURVE)
def test_whatever_else_differs_makes_another_curve(name: str) -> None:
    others = {"kl_anneal": "0:10", "free_bits": 0.5, "model_code": "sha256:0", "latents": "8-8"}
    value: Any = DECLARED.get(name)
    other = others.get(name, value + "x" if isinstance(value, str) else value * 2 if name not in others else None)
    both = [frame_of([0, 0.5, 1], {0: [10, 5, 0]}), frame_of([0, 0.5, 1], {0: [20, 20, 0]}, **{name: other})]
    found = CriticalRho()(pd.concat(both, ignore_index=True))
    assert found["rho_half"].tolist() == [0.5, 0.75]
    assert found[name].tolist()[1] == other


def test_c_is_one_without_smoothing() -> None:
    assert retained_variance(1.0, 5) == retained_variance(0.3, 1) == 1
    assert retained_variance(0.0, 5) == 0.2


# uncertainty --------------------------------------------------------------------------------------------------


ONSET = 0.01 * (1.5 * math.log(9) - 0.5 * math.log(7 / 3))  # of a sigmoid of width 0.01, beyond its middle


def noisy(spread: float, seeds: int, critical: float = 0.9) -> pd.DataFrame:
    """Sigmoids whose onsets scatter normally about `critical`."""
    rho = np.linspace(0.7, 1, 61)
    shifts = critical - ONSET + spread * np.random.default_rng(1).standard_normal(seeds)
    return frame_of(rho, {i: 20 / (1 + np.exp((rho - shift) / 0.01)) for i, shift in enumerate(shifts)})


def test_interval_needs_three_seeds() -> None:
    assert math.isnan(only(noisy(0.01, 2))["interval_low"])
    row = only(noisy(0.01, 3))
    assert row["interval_low"] < row["rho_critical"] < row["interval_high"]
    assert row["crossing_share"] == 1


def test_interval_contains_the_truth_and_shrinks_with_the_noise() -> None:
    wide, narrow = only(noisy(0.02, 15)), only(noisy(0.005, 15))
    for row in (wide, narrow):
        assert row["interval_low"] < 0.9 < row["interval_high"]
    sizes = [row["interval_high"] - row["interval_low"] for row in (wide, narrow)]
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_interval_agrees_with_that_of_the_median_of_crossings(coverage: float) -> None:
    row = only(noisy(0.01, 101), CriticalRho(coverage=coverage))
    shifts = 0.9 + 0.01 * np.random.default_rng(1).standard_normal(101)
    draws = np.random.default_rng(2).choice(shifts, (4000, 101))
    low, high = np.percentile(np.median(draws, axis=1), [50 - 50 * coverage, 50 + 50 * coverage])
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((low, high), abs=2e-3)  # two neighbouring seeds


def test_seeds_are_resampled_whole() -> None:
    """A resample is early with probability 7/27 and late otherwise; drawn per rho, one in five would be a mixture."""
    early, late = [10, 10, 0, 0, 0, 0], [10, 10, 10, 10, 0, 0]
    row = only(frame_of([0, 0.2, 0.4, 0.6, 0.8, 1], {0: early, 1: late, 2: late}), CriticalRho(coverage=0.6))
    assert (row["interval_low"], row["interval_high"]) == (pytest.approx(0.4), pytest.approx(0.8))


def test_resamples_without_a_collapse_are_counted() -> None:
    row = only(frame_of([0, 0.5, 1], {0: [10, 10, 10], 1: [10, 5, 0], 2: [10, 5, 0]}))
    assert row["crossing_share"] == pytest.approx(20 / 27, abs=0.03)
    assert row["interval_low"] == row["interval_high"] == 1


USUAL = [10.0, 5.0, 0.1]
ODD: dict[
    str, tuple[list[float], float]
] = {  # a seed unlike two usual ones, and the share of resamples whose median is not its own
    "too few rho values": ([10, math.nan, 0.1], 26 / 27),
    "below the floor": ([0.9, 0.4, 0], 20 / 27),
    "no fall through half height": ([10, 10, 10], 20 / 27),
    "a fall that keeps too much": ([10, 6, 4], 20 / 27),
}


@pytest.mark.parametrize("why", ODD)
def test_a_resample_counts_by_the_rule_of_the_verdict(why: str) -> None:
    """Two or three draws of the odd seed make its curve the median: 7 of 27 resamples, and 1 of 27 are it alone."""
    odd, share = ODD[why]
    row = only(frame_of([0, 0.5, 1], {0: odd, 1: USUAL, 2: USUAL}))
    assert row["verdict"] == TRANSITION
    assert row["crossing_share"] == pytest.approx(share, abs=0.02)


def test_the_interval_holds_no_onset_of_a_resample_that_does_not_collapse() -> None:
    """Two of three seeds keep 0.1 nats and one 6 of 20: 7 of the 27 resamples fall without collapsing, far earlier."""
    gone, kept = [20, 20, 12, 0.1, 0.1], [20, 8, 6, 6, 6]
    row = only(frame_of([0, 0.4, 0.6, 0.8, 1], {0: gone, 1: gone, 2: kept}))
    assert only(frame_of([0, 0.4, 0.6, 0.8, 1], {0: kept}))["verdict"] == PARTIAL
    assert row["crossing_share"] == pytest.approx(20 / 27, abs=0.02)
    assert row["interval_low"] == pytest.approx(row["rho_critical"])
    assert row["interval_high"] == pytest.approx(row["rho_critical"])


def test_incomplete_seeds_still_give_an_interval() -> None:
    nan = math.nan
    row = only(frame_of([0, 0.4, 0.6, 1], {0: [10, 10, nan, 0], 1: [10, nan, 0, 0], 2: [nan, 10, 0, nan]}))
    assert row["rho_critical"] == pytest.approx(0.6)
    assert 0.4 <= row["interval_low"] <= 0.6 <= row["interval_high"] <= 1


def test_the_bootstrap_repeats() -> None:
    frame = noisy(0.01, 7)
    pd.testing.assert_frame_equal(CriticalRho()(frame), CriticalRho()(frame))
    assert only(frame, CriticalRho(seed=1, resamples=50)) != only(frame)


# invariances --------------------------------------------------------------------------------------------------

curve_tables = st.integers(3, 7).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(0, 40_000).map(lambda v: v / 1000), min_size=n, max_size=n), min_size=1, max_size=4
    )
)


def grid(table: Sequence[Sequence[float]]) -> list[float]:
    return [i / len(table[0]) for i in range(len(table[0]))]


@settings(max_examples=60, deadline=None)
@given(curve_tables, st.integers(-8, 8))
def test_scaling_the_kl_scales_plateau_and_steepness_and_nothing_else(table: list[list[float]], power: int) -> None:
    rule = CriticalRho(floor=0.0, resamples=100)
    scaled = [[value * 2.0**power for value in row] for row in table]
    one, other = (only(frame_of(grid(t), dict(enumerate(t))), rule) for t in (table, scaled))
    for name in ("plateau", "steepness"):
        assert other.pop(name) == pytest.approx(one.pop(name) * 2.0**power, nan_ok=True)
    pd.testing.assert_series_equal(pd.Series(one), pd.Series(other))


@settings(max_examples=60, deadline=None)
@given(curve_tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table: list[list[float]], random: Any) -> None:
    rule = CriticalRho(resamples=100)
    frame = frame_of(grid(table), dict(enumerate(table)))
    order = list(frame.index)
    random.shuffle(order)
    pd.testing.assert_frame_equal(rule(frame), rule(frame.loc[order]))


@settings(max_examples=60, deadline=None)
@given(curve_tables)
def test_the_onset_lies_in_its_bracket_and_beyond_half_height(table: list[list[float]]) -> None:
    row = only(frame_of(grid(table), dict(enumerate(table))), CriticalRho(resamples=10))
    if row["verdict"] in (TRANSITION, RETURNS):
        assert row["bracket_low"] <= row["rho_critical"] <= row["bracket_high"]
        assert row["rho_half"] <= row["rho_critical"]
        height = np.interp(row["rho_half"], grid(table), np.median(table, axis=0))
        assert height == pytest.approx(row["plateau"] / 2, abs=1e-9)
        assert row["steepness"] > 0
        assert 1 / 5 <= row["c_critical"] <= 1
    else:
        assert math.isnan(row["rho_critical"])
