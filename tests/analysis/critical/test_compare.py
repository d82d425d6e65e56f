"""Size, power and equivalence of the paired test, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.critical.compare import Difference, Side, compare_datasets, paired, verdict
from analysis.critical.rule import Estimate
from analysis.frames.gather import gather
from benchmarks.critical import Draw, differences
from benchmarks.critical_worlds import NOISES, exponential, jump
from sweeps.grid.cell import Cell

FINE = tuple(np.round(np.arange(0.8, 1.005, 0.01), 3).tolist())


def test_size_power_and_equivalence() -> None:
    same, far = differences(0.0, 5, 60), differences(0.02, 5, 60)
    assert sum(one.differs() for one in same) <= 6
    assert sum(one.same(0.02) for one in same) >= 57
    assert sum(one.differs() for one in far) >= 57
    assert sum(one.same(0.02) for one in far) <= 9


def test_a_difference_is_that_of_a_t_test() -> None:
    from scipy.stats import ttest_rel

    a, b = np.random.default_rng(0).normal(0.9, 0.01, (2, 6))
    none = np.zeros(6)
    found = Difference.of(Side(a, none, none, none), Side(b, none, none, none))
    for coverage in (0.9, 0.95):
        expected = ttest_rel(a, b).confidence_interval(coverage)
        assert found.interval(coverage) == pytest.approx((expected.low, expected.high))
    open_ends = np.array([0.01] * 6 + [0.5])
    one = Side(np.array([*a, math.nan]), np.full(7, 3e-4), open_ends, 2 * open_ends)
    found = Difference.of(one, Side(np.array([*b, 0.9]), np.full(7, 1e-4), 3 * open_ends, 4 * open_ends))
    assert found.seeds == 6
    assert found.spread == pytest.approx(0.02)
    assert (found.below, found.above) == pytest.approx((0.05, 0.05)), "first's below + second's above, and so on"


def test_the_grid_leaves_open_what_lies_between_its_values() -> None:
    """Of a crossing as far as both neighbours, of a jump half of its gap, of a kink nothing."""
    found = Estimate("crossover", crossings=(0.912, math.nan), crossing_gaps=((0.91, 0.93), (math.nan, math.nan)))
    side = Side.of_crossing(found)
    assert (side.below[0], side.above[0]) == pytest.approx((0.002, 0.018))
    assert np.isnan(side.values).tolist() == [False, True]
    jump = Estimate("jump", by_seed=(0.9, 0.9), variances=(3e-5, 3e-5), gap=0.03)
    kink = Estimate("kink", by_seed=(0.95, 0.95), variances=(1e-5, 1e-5), gap=0.02)
    quantity, both, gap = paired(jump, kink)
    assert (quantity, gap) == ("critical rho", 0.02), "a margin is held against the gap of kinks alone"
    assert both is not None
    assert (both.below, both.above, both.mean) == pytest.approx((0.015, 0.015, -0.05))
    assert both.spread == pytest.approx(math.sqrt(1e-5)), "where in its gap a jump is has no variance over seeds"
    assert paired(jump, jump)[2] == 0.0


def test_the_words_say_what_would_decide() -> None:
    assert verdict(Difference(0.03, 0.002, 5), 0.02, 0.01) == "differs by 0.0300"
    assert verdict(Difference(0.01, 0.002, 5), 0.02, 0.01) == "differs by 0.0100, by less than 0.02"
    assert verdict(Difference(0.001, 0.004, 5), 0.02, 0.01) == "same within 0.02"
    assert verdict(Difference(0.001, 0.004, 5), 0.02, 1 - 0.96) == "same within 0.02", "a gap of .04, but for rounding"
    coarse = verdict(Difference(0.001, 0.004, 5), 0.02, 0.05)
    assert "no difference found" in coarse
    assert "needs gaps of at most 0.04, the grid has 0.05" in coarse
    left_open = Difference(0.001, 0.004, 5, below=0.03, above=0.03)
    assert left_open.is_open(0.02)
    assert verdict(left_open, 0.02, 0.0).endswith("the grid alone leaves 0.03 open: more rho values would decide")
    few = Difference(0.005, 0.01 * math.sqrt(3), 3)
    more = few.seeds_to_decide(0.02)
    assert more is not None
    assert f"about {more} seeds would decide" in verdict(few, 0.02, 0.01)
    later = replace(few, seeds=more)
    assert later.differs() or later.same(0.02)
    sooner = replace(few, seeds=more - 1)
    assert not sooner.differs()
    assert not sooner.same(0.02)


def test_only_what_differs_in_data_alone_is_compared(
    make_results: Callable[..., list[Cell]], tmp_path: Path, kinked_kl: Callable[[Cell], float]
) -> None:
    def shifted(cell: Cell) -> float:
        moved = -3.0 if cell.dataset == "glyphs" else 0.0
        return max(0.0, kinked_kl(cell) + moved * (0.9 < cell.member.objective.rho < 0.91))

    both = ("mnist:embedded", "glyphs:embedded")
    make_results(tmp_path, datasets=both, rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl)
    make_results(tmp_path, datasets=both[:1], rhos=FINE, seeds=(0, 1, 2), models=("mlp3x4h8",), top_kl=kinked_kl)
    make_results(tmp_path, datasets=both[1:], rhos=FINE[::3], seeds=(5,), models=("mlp3x4h8",), top_kl=kinked_kl)
    table = compare_datasets(gather([tmp_path]).frame)
    assert table["model"].tolist() == ["mlp2x4h8", "mlp3x4h8"]
    one, few = table.to_dict("records")
    assert one["difference"] == 0
    assert one["verdict"] == "same within 0.02"
    assert one["largest_kl_per_unit"] == 0
    assert "not compared" in few["verdict"]


def test_where_neither_has_a_kink_the_crossings_are_compared(
    make_results: Callable[..., list[Cell]], tmp_path: Path
) -> None:
    def fall(cell: Cell) -> float:
        shift = 0.035 if cell.dataset == "glyphs" else 0.0
        seed = 0.002 * cell.member.seed
        return float(20 / (1 + np.exp((cell.member.objective.rho - 0.85 - shift - seed) / 0.02)))

    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), rhos=FINE, seeds=(0, 1, 2, 3), top_kl=fall)
    (row,) = compare_datasets(gather([tmp_path]).frame, 0.01).to_dict("records")
    assert row["quantity"] == "crossing of 0.05 nats per unit"
    assert row["difference"] == pytest.approx(0.035, abs=1e-3)
    assert row["verdict"].startswith("differs by 0.03")
    assert row["largest_kl_per_unit"] > 0.3


@pytest.mark.parametrize(("draw", "size"), [(jump, 0.01), (jump, 0.02), (exponential, 0.01), (exponential, 0.02)])
@pytest.mark.parametrize("seeds", [5, 10])
def test_no_number_of_seeds_sees_between_two_values_of_the_grid(draw: Draw, size: float, seeds: int) -> None:
    """Jumps and crossings, the same in every seed: the interval holds the true difference wherever they lie."""
    still = replace(NOISES["mild"], relative=0.01)
    for i, shift in enumerate((0.0, 0.003, 0.9 * size, 1.6 * size)):
        found = differences(shift, seeds, 10, size, i, draw=draw, noise=still)
        assert len(found) >= 5
        for one in found:
            low, high = one.interval(0.9)
            assert low <= -shift <= high
            assert not (one.same(0.5 * shift) and shift)


def test_a_crossing_in_a_wide_gap_is_not_compared(make_results: Callable[..., list[Cell]], tmp_path: Path) -> None:
    """Onsets at 0.93 and 0.99, on the grid that an adaptive sweep begins with: they are not the same within 0.02."""

    def fall(cell: Cell) -> float:
        onset = 0.99 if cell.dataset == "glyphs" else 0.93
        return 10.0 if cell.member.objective.rho < onset else 0.0

    grid = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0)
    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), rhos=grid, seeds=range(5), top_kl=fall)
    (row,) = compare_datasets(gather([tmp_path]).frame).to_dict("records")
    assert row["verdict"] == "not compared: a gap of 0.1 at the crossing, at most 0.05 is needed"
    assert math.isnan(row["difference"])


def test_what_does_not_fall_is_not_compared(make_results: Callable[..., list[Cell]], tmp_path: Path) -> None:
    def around_the_level(cell: Cell) -> float:
        return 0.2 + 0.01 * math.sin(40 * cell.member.objective.rho)

    both = ("mnist:embedded", "glyphs:embedded")
    make_results(tmp_path, datasets=both, rhos=FINE, seeds=(0, 1, 2), top_kl=around_the_level)
    (row,) = compare_datasets(gather([tmp_path]).frame).to_dict("records")
    assert row["verdict"] == "not compared: a curve has no transition in this range of rho"
