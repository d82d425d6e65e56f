"""The ELBO axis: what its zero is, that nothing leaves it, and that small differences can be seen beside large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import style
from analysis.axes.elbo_axis import below_best, best_of_each, set_elbo_axis
from analysis.critical.table import critical_table
from analysis.frames.curves import curves
from analysis.frames.gather import gather
from analysis.phase.phase_transition import draw_phase_transition as draw
from analysis.summaries.summary import summarise
from sweeps.grid.cell import Cell


def draw_phase_transition(frame: pd.DataFrame, critical: pd.DataFrame | None = None, **settings: Any) -> Figure:
    """Draw a frame with its own summary and critical values."""
    return draw(frame, summarise(frame), critical_table(frame) if critical is None else critical, **settings)


Make = Callable[..., list[Cell]]


def drawn(values: Sequence[float], inches: float = 1.1) -> Axes:
    ax = style.new_figure(3.35, inches).add_axes((0, 0, 1, 1))
    ax.plot(range(len(values)), values)
    set_elbo_axis(ax, inches)
    return ax


def height(ax: Axes, value: float) -> float:
    """Place of a value, as a share of the panel."""
    (_, display) = ax.transData.transform((0, value))
    return float((display - ax.bbox.y0) / ax.bbox.height)


def test_absurd_numbers_are_drawn_as_far_as_floats_go() -> None:
    ax = drawn([-1e308, 0.0])
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert np.isfinite(ax.get_ylim()).all()


@pytest.mark.parametrize("lowest", [-0.3, -3.0, -42.0, -900.0])
def test_nothing_leaves_the_panel_and_ticks_are_true_and_apart(lowest: float) -> None:
    ax = drawn([lowest, -0.1, 0.0])
    assert 0 < height(ax, lowest) < height(ax, 0) < 1
    ticks = [tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= ax.get_ylim()[1]]
    assert 0 in ticks
    assert len(ticks) >= 2
    assert min(np.diff([height(ax, tick) for tick in ticks])) * 1.1 >= 0.14
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert [float(label.replace("−", "-")) for label in labels] == list(ax.get_yticks())


def test_half_a_nat_can_be_seen_beside_a_fall_of_forty() -> None:
    """In print: half a nat is at least 0.1 inch, on a linear axis it would be about 0.01."""
    ax = drawn([-42.0, -0.5, 0.0])
    assert 1.1 * (height(ax, 0) - height(ax, -0.5)) > 0.1


def test_curves_of_one_data_set_share_their_best_and_data_sets_do_not(make_results: Make, tmp_path: Path) -> None:
    elbo = {("mnist", 5): -90.0, ("mnist", 9): -95.0, ("glyphs", 5): -200.0, ("glyphs", 9): -180.0}

    def change(cell: Cell, result: dict[str, float]) -> dict[str, float]:
        objective = cell.member.objective
        return {
            **result,
            "elbo": elbo[cell.dataset, objective.ou_samples] - 10 * (1 - objective.rho) + cell.member.seed,
        }

    for k in (5, 9):
        make_results(
            tmp_path,
            datasets=("mnist:embedded", "glyphs:embedded"),
            rhos=(0.5, 0.9, 1.0),
            seeds=(0, 1, 2),
            objective={"ou_samples": k},
            change=change,
        )
    frame = gather([tmp_path]).frame
    best = best_of_each(curves(summarise(frame)))
    assert {data[0]: value for data, value in best.items()} == {"mnist": -89, "glyphs": -179}
    ax = draw_phase_transition(frame).axes[2]
    found = curves(summarise(frame))
    for line, curve in zip([one for one in ax.get_lines() if one.get_gid() == "median"], found, strict=True):
        expected = curve.rows["elbo_median"] - best[curve.data]
        assert np.asarray(line.get_ydata(), dtype=float) == pytest.approx(expected.to_numpy())
    seeds = [np.asarray(one.get_ydata(), dtype=float) for one in ax.get_lines() if one.get_gid() == "seeds"]
    assert max(map(np.max, seeds)) == pytest.approx(1), "a seed may be above the best median"


def test_only_the_elbo_is_moved() -> None:
    rows = pd.DataFrame({"rho": [1.0], "kl_top_median": [3.0], "elbo_median": [-90.0], "elbo_min": [-91.0]})
    assert below_best(rows, -89.0).iloc[0].to_dict() == {
        **{"rho": 1.0, "kl_top_median": 3.0},
        **{"elbo_median": -1.0, "elbo_min": -2.0},
    }
