"""Size, power and equivalence of the paired test, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.critical.compare import Difference, compare_datasets, verdict
from analysis.frames.gather import gather
from benchmarks.critical import differences
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
    found = Difference.of(a, b, np.zeros(6))
    for coverage in (0.9, 0.95):
        expected = ttest_rel(a, b).confidence_interval(coverage)
        assert found.interval(coverage) == pytest.approx((expected.low, expected.high))
    found = Difference.of([*a, math.nan], [*b, 0.9], np.full(7, 4e-4))
    assert found.seeds == 6
    assert found.error == pytest.approx(0.02 / math.sqrt(6))


def test_the_words_say_what_would_decide() -> None:
    assert verdict(Difference(0.03, 0.001, 5), 0.02, 0.01) == "differs by 0.0300"
    assert verdict(Difference(0.01, 0.001, 5), 0.02, 0.01) == "differs by 0.0100, by less than 0.02"
    assert verdict(Difference(0.001, 0.002, 5), 0.02, 0.01) == "same within 0.02"
    coarse = verdict(Difference(0.001, 0.002, 5), 0.02, 0.05)
    assert "no difference found" in coarse
    assert "needs gaps of at most 0.04, the grid has 0.05" in coarse
    few = Difference(0.005, 0.01, 3)
    more = few.seeds_to_decide(0.02)
    assert more is not None
    assert f"about {more} seeds would decide" in verdict(few, 0.02, 0.01)
    later = Difference(0.005, 0.01 * math.sqrt(3 / more), more)
    assert later.differs() or later.same(0.02)
    sooner = Difference(0.005, 0.01 * math.sqrt(3 / (more - 1)), more - 1)
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
        shift = 0.015 if cell.dataset == "glyphs" else 0.0
        seed = 0.002 * cell.member.seed
        return float(20 / (1 + np.exp((cell.member.objective.rho - 0.88 - shift - seed) / 0.02)))

    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), rhos=FINE, seeds=(0, 1, 2, 3), top_kl=fall)
    (row,) = compare_datasets(gather([tmp_path]).frame, 0.01).to_dict("records")
    assert row["quantity"] == "crossing of 0.05 nats per unit"
    assert row["difference"] == pytest.approx(0.015, abs=1e-3)
    assert row["verdict"].startswith("differs by 0.01")
    assert row["largest_kl_per_unit"] > 0.3
