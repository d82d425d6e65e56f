"""Drift from histories whose law is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.axes.style import new_figure
from analysis.critical.drift import _with_gap, drift_tables
from analysis.critical.rule import NAMED_LEVEL, estimate
from analysis.figures.drift import draw_crossings, end_of
from analysis.frames.curves import CURVE
from sweeps.grid.cell import Cell

FINE = tuple(np.round(np.arange(0.8, 1.0005, 0.01), 3).tolist())
STEPS = (500, 1000, 1500, 2000, 3000, 4000)
MakeFrame = Callable[..., pd.DataFrame]


def rounded(rho: float, rho_c: float, s: float) -> float:
    scale = 2 * rho_c * s
    return 60 * scale * float(np.logaddexp(0, (rho_c**2 - rho**2) / scale))


def frame_and_histories(
    make_frame: MakeFrame, kl: Callable[[float, int, int], float]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    from hvae_core.spec import TrainSpec

    def last(cell: Cell) -> float:
        return kl(cell.member.objective.rho, 4000, cell.member.seed)

    frame = make_frame(rhos=FINE, seeds=(0, 1, 2), train=TrainSpec(4000), top_kl=last)
    known = {}
    for row in frame.to_dict("records"):
        values = [kl(row["rho"], step, row["seed"]) for step in STEPS]
        known[row["cell_id"]] = pd.DataFrame({"step": STEPS, "kl_top": values, "elbo": -100.0})
    return frame, known


def test_a_kink_that_moves_as_one_over_t_is_extrapolated_to_its_end(make_frame: MakeFrame) -> None:
    def kl(rho: float, step: int, seed: int) -> float:
        return rounded(rho, 0.9 - 20 / step + 0.001 * seed, 20 / step)

    table, exponents = drift_tables(*frame_and_histories(make_frame, kl))
    assert table["step"].tolist() == [500, 1000, 2000, 4000]
    assert table["rounding"].is_monotonic_decreasing
    assert table["rounding"].iloc[0] == pytest.approx(0.04, abs=0.011)
    ends = table.iloc[-1]
    now, before = ends["crossing"], table["crossing"].iloc[-2]
    assert ends["extrapolated"] == pytest.approx(2 * now - before)
    assert ends["extrapolated_low"] < ends["extrapolated"] < ends["extrapolated_high"]
    assert "still drifting: the KL grows at rho 0.82 to 0.88 and decays at rho 0.9 to 0.91" in ends["verdict"]
    assert "as at a transition" in ends["verdict"]
    assert table["verdict"].iloc[:-1].isna().all()
    assert exponents["drifting"].any()


def test_a_rounding_that_is_no_longer_seen_is_compatible_with_one_over_t_but_no_transition(
    make_frame: MakeFrame,
) -> None:
    """It halves twice, and the last half is below the least that is tried."""
    table, _ = drift_tables(
        *frame_and_histories(make_frame, lambda rho, step, seed: rounded(rho, 0.9 - 20 / step + 0.001 * seed, 4 / step))
    )
    assert table["rounding"].tolist() == [0.01, 0.005, 0.0025, 0.0]
    assert table["verdict"].iloc[-1].endswith("; rounding compatible with 1 / steps, but not seen at all of them")


def test_what_has_settled_says_so_and_growth_has_its_exponent(make_frame: MakeFrame) -> None:
    table, exponents = drift_tables(*frame_and_histories(make_frame, lambda rho, step, seed: rounded(rho, 0.9, 0.02)))
    assert table["verdict"].iloc[-1].startswith("settled at every rho")
    assert "not proportional" in table["verdict"].iloc[-1]
    assert exponents["exponent"].to_numpy() == pytest.approx(0.0)
    _, exponents = drift_tables(
        *frame_and_histories(make_frame, lambda rho, step, seed: rounded(rho, 0.9, 0.02) * (step / 4000) ** 0.5)
    )
    assert exponents["exponent"].to_numpy() == pytest.approx(0.5)
    assert exponents["drifting"].tolist() == (exponents["kl_per_unit"] >= 0.005).tolist()


def test_without_histories_there_is_no_row(make_frame: MakeFrame) -> None:
    frame, known = frame_and_histories(make_frame, lambda rho, step, seed: rounded(rho, 0.9, 0.02))
    assert all(table.empty for table in drift_tables(frame, {}))
    late = {cell_id: history[history["step"] > 2500] for cell_id, history in known.items()}
    assert drift_tables(frame, late)[0].empty
    assert math.isnan(drift_tables(frame, known)[0]["extrapolated"].iloc[0])


def test_cells_without_a_history_or_worse_than_independent_pixels_are_left_out_alone(make_frame: MakeFrame) -> None:
    frame, known = frame_and_histories(make_frame, lambda rho, step, seed: rounded(rho, 0.9, 0.02))
    whole = drift_tables(frame, known)
    damaged, short, untrained = frame["cell_id"].iloc[:3]
    left = {k: v for k, v in known.items() if k != damaged} | {short: known[short].tail(1)}
    frame = frame.assign(baseline=frame["elbo"].where(frame["cell_id"] == untrained, -999.0) + 1)
    table, exponents = drift_tables(frame, left)
    assert table["n_rho"].tolist() == [len(FINE) - 3] * 4, "three values of rho that seed 0 has no other of"
    assert len(exponents) == len(whole[1])
    np.testing.assert_array_equal(table["crossing"], whole[0]["crossing"])


def test_what_seeds_do_not_agree_on_is_undecided(make_frame: MakeFrame) -> None:
    def kl(rho: float, step: int, seed: int) -> float:
        power = (0.9, 0.0, -0.1)[seed] if rho == 0.85 else 0.5 if rho < 0.83 else 0.0
        return rounded(rho, 0.9, 0.02) * float((step / 4000) ** power)

    table, exponents = drift_tables(*frame_and_histories(make_frame, kl))
    assert exponents[exponents["rho"] == 0.85]["exponent"].item() > 0.1
    assert exponents[exponents["drifting"]]["rho"].max() == 0.82
    assert "still drifting: the KL grows at rho 0.8 to 0.82; undecided at rho 0.85" in table["verdict"].iloc[-1]
    table, _ = drift_tables(*frame_and_histories(make_frame, lambda rho, step, seed: kl(max(rho, 0.85), step, seed)))
    assert table["verdict"].iloc[-1].startswith("undecided at rho 0.8 to 0.85")


def table_of(
    rhos: Sequence[float],
    crossings: Mapping[int, Sequence[float]],
    missing: Callable[[int, float], bool] = lambda seed, rho: False,
) -> pd.DataFrame:
    """The drift table of straight falls of 16 units that cross 0.05 nats per unit at these rho, by steps and seed."""
    seeds = range(len(next(iter(crossings.values()))))
    rows, known = [], {}
    shared = {"dataset": "mnist", "source": "npz", "checksum": "0", "binarise": "static", "state": "complete"}
    for seed, rho in itertools.product(seeds, rhos):
        if not missing(seed, rho):
            cell_id = f"{seed}-{rho}"
            rows.append({**shared, "model": "mlp2x16h64", "rho": rho, "seed": seed, "steps": 4000, "cell_id": cell_id})
            kl = [max(0.01, 0.8 + 60 * (at[seed] - rho)) for at in crossings.values()]
            known[cell_id] = pd.DataFrame({"step": list(crossings), "kl_top": kl})
    frame = pd.DataFrame(rows)
    frame = frame.assign(**{name: None for name in CURVE if name not in frame})
    return drift_tables(frame, known)[0]


def test_a_crossing_is_known_no_better_than_the_gap_that_it_lies_in() -> None:
    """Seeds that agree say nothing of where in the gap it is; one seed has its gap as well."""
    for seeds in (1, 3):
        table = table_of(FINE, {2000: [0.914] * seeds, 4000: [0.923] * seeds})
        assert table["crossing_low"].tolist() == [0.91, 0.92]
        assert table["crossing_high"].tolist() == [0.92, 0.93]
        last = table.iloc[-1]
        assert last["extrapolated"] == pytest.approx(2 * last["crossing"] - table["crossing"].iloc[0])
        assert last["extrapolated_low"] == pytest.approx(2 * 0.92 - 0.92)
        assert last["extrapolated_high"] == pytest.approx(2 * 0.93 - 0.91)
    apart = table_of(FINE, {2000: [0.914] * 3, 4000: [0.90, 0.923, 0.95]}).iloc[-1]
    assert apart["crossing_high"] - apart["crossing_low"] > 0.05, "nor better than the seeds say"


def test_over_a_wide_gap_there_is_no_crossing_and_none_lies_beyond_one() -> None:
    coarse = table_of((0.0, 0.5, 0.8, 0.9, 1.0), {2000: [0.93] * 3, 4000: [0.95] * 3})
    assert coarse["crossing"].isna().all()
    assert coarse["extrapolated"].isna().all()
    table = table_of(FINE, {2000: [0.95] * 3, 4000: [0.985] * 3})
    steep = table.iloc[-1]
    assert steep["extrapolated_low"] <= steep["extrapolated"] <= steep["extrapolated_high"] == 1.0
    figure = new_figure(2, 2)
    draw_crossings(figure.add_axes((0, 0, 1, 1)), table, {"color": "black"}, end_of(table))
    figure.draw_without_rendering()  # errors that are negative cannot be drawn


def test_a_seed_that_has_next_to_no_values_yet_leaves_the_others_alone() -> None:
    """As while a sweep runs; which one is left out is said."""
    crossings = {2000: [0.914] * 3, 4000: [0.923] * 3}
    whole, some = table_of(FINE, crossings), table_of(FINE, crossings, lambda seed, rho: seed == 2 and rho < 0.999)
    assert some["crossing"].tolist() == whole["crossing"].tolist()
    assert (some["n_seeds"].tolist(), some["n_rho"].tolist()) == ([2, 2], [len(FINE)] * 2)
    assert some["verdict"].iloc[-1].endswith("; seed 2 left out: too few rho yet")
    assert "left out" not in whole["verdict"].iloc[-1]


def test_there_is_no_crossing_where_a_seed_has_none() -> None:
    """The others' mean would be taken for that of all, and at T/2 for that of other seeds than at T."""
    table = table_of(FINE, {2000: [0.914, 0.914, 2.0], 4000: [0.923, 0.923, 0.93]})
    assert table["crossing"].isna().tolist() == [True, False]
    assert table["extrapolated"].isna().all()


def test_a_rounding_beyond_the_largest_tried_bounds_nothing(make_frame: MakeFrame) -> None:
    """It is proportional to 1/T from .12 on, of which .08 is the most that is tried."""
    table, _ = drift_tables(
        *frame_and_histories(
            make_frame, lambda rho, step, seed: rounded(rho, 0.9 - 20 / step + 0.001 * seed, 60 / step)
        )
    )
    assert table["rounding"].tolist() == [0.08, 0.06, 0.03, 0.015]
    assert table["widest"].tolist() == [math.inf, 0.06, 0.03, 0.015]
    assert (
        table["verdict"]
        .iloc[-1]
        .endswith("rounding proportional to 1 / steps over three doublings, as at a transition")
    )


def test_seeds_on_different_grids_are_compared_where_all_have_values() -> None:
    """A seed without the values around its fall would be interpolated across them."""
    crossings = {2000: [0.914] * 3, 4000: [0.923] * 3}
    whole = table_of(FINE, crossings)["crossing"].iloc[-1]
    last = table_of(FINE, crossings, lambda seed, rho: seed == 2 and 0.905 < rho < 0.935).iloc[-1]
    assert last["n_rho"] == len(FINE) - 3
    assert last["crossing_low"] <= whole <= last["crossing_high"]


FALLS: dict[str, Callable[[Any, float, float], Any]] = {
    "kink": lambda rho, place, width: 40 * np.maximum(0, place - rho) + 0.01,
    "exponential": lambda rho, place, width: 9 * np.exp(-(rho - 0.7) / width),
    "logistic": lambda rho, place, width: 20 / (1 + np.exp((rho - place) / width)),
}


@pytest.mark.parametrize("fall", FALLS)
def test_the_interval_of_a_crossing_holds_it(fall: str) -> None:
    """Grids of .02 that start anywhere, five per cent of noise, seeds that jitter by .005: at least nine of ten."""
    generator, fine, curve = np.random.default_rng(3), np.linspace(0.6, 1.2, 60_001), FALLS[fall]
    held = said = 0
    while said < 100:
        place, width = generator.uniform(0.85, 0.93), generator.uniform(0.01, 0.04)
        truth = fine[np.flatnonzero(curve(fine, place, width) >= NAMED_LEVEL * 16)[-1]]
        rho = np.arange(0.7 + generator.uniform(0, 0.02), 1.0, 0.02)
        if rho[0] < truth < rho[-1]:
            seeds = [curve(rho - jitter, place, width) for jitter in generator.normal(0, 0.005, 3)]
            noisy = np.array([kl * generator.normal(1, 0.05, len(rho)) for kl in seeds])
            _, low, high = _with_gap(rho, estimate(rho, noisy, 16).crossings)
            held, said = held + (low <= truth <= high), said + 1
    assert held >= 90
