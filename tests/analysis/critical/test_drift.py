"""Drift from histories whose law is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.critical.drift import drift_tables
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
    assert "still drifting" in ends["verdict"]
    assert "as at a transition" in ends["verdict"]
    assert table["verdict"].iloc[:-1].isna().all()
    assert exponents["drifting"].any()


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
    first = next(iter(known))
    assert drift_tables(frame, {k: v for k, v in known.items() if k != first})[0].empty
    assert math.isnan(drift_tables(frame, known)[0]["extrapolated"].iloc[0])
