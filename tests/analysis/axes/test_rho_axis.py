"""The rho axis: true values, apart from each other, stretched only where the grid crowds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from analysis.axes.rho_axis import is_crowded, set_rho_axis, stretch, ticks_of, unstretch
from analysis.axes.style import new_figure, paper_style
from hvae_core.spec import retained_variance

QUICK = (0.0, 0.5, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1.0)


def axis(rhos: Sequence[float], inches: float = 2.6, scale: str = "auto") -> Axes:
    ax = new_figure(inches, 1).add_axes((0, 0, 1, 1))
    set_rho_axis([ax], rhos, inches, scale)
    return ax


@given(st.floats(0, 1), st.floats(0, 1))
def test_stretching_keeps_the_order_and_comes_back(one: float, other: float) -> None:
    assert unstretch(stretch(one)) == pytest.approx(one, abs=1e-12)
    assert one + 1e-9 >= other or stretch(one) < stretch(other)


@pytest.mark.parametrize(
    ("rhos", "crowded"),
    [
        (QUICK, True),
        ([0, 0.25, 0.5, 0.75, 1], False),
        ([i / 20 for i in range(21)], False),
        ([0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1], False),
        ([0.9], False),
        ([0.9, 1], False),
    ],
)
def test_only_crowded_grids_are_stretched(rhos: Sequence[float], crowded: bool) -> None:
    assert is_crowded(rhos) == crowded
    assert (axis(rhos).get_xscale() == "function") == crowded


@pytest.mark.parametrize("rhos", [QUICK, [0.3, 0.9, 0.95, 0.97, 1], [0.9], [0.8, 0.9, 1]])
@pytest.mark.parametrize("inches", [1.2, 2.6])
def test_labels_are_true_values_that_do_not_touch(rhos: Sequence[float], inches: float) -> None:
    with paper_style():
        ax = axis(rhos, inches)
        figure = ax.get_figure(root=True)
        assert figure is not None
        figure.draw_without_rendering()
    labels = [label for label in ax.get_xticklabels() if label.get_text() and label.get_visible()]
    assert all(float(label.get_text()) == pytest.approx(label.get_position()[0], abs=1e-9) for label in labels)
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_transition_gets_room_and_every_rho_is_inside() -> None:
    ax = axis(QUICK)
    places = ax.transAxes.inverted().transform(ax.transData.transform([(rho, 0) for rho in QUICK]))[:, 0]
    at = dict(zip(QUICK, places, strict=True))
    assert (places > 0).all()
    assert (places < 1).all()
    assert at[1.0] - at[0.85] > 0.4
    assert at[0.97] - at[0.9] > 0.15
    assert np.diff(places).min() > 0.03


def test_every_rho_of_the_grid_has_a_tick() -> None:
    ax = axis(QUICK)
    ticks = {*ax.xaxis.get_ticklocs(minor=True), *ax.xaxis.get_ticklocs()}
    assert all(min(abs(tick - rho) for tick in ticks) < 1e-9 for rho in QUICK)


def test_a_grid_of_c_has_no_crowd_of_minor_ticks() -> None:
    """Those of several K are at odd values that nobody typed."""
    grid = [retained_variance(rho, k) for k in (2, 5) for rho in QUICK]
    assert len(axis(grid, scale="linear").xaxis.get_ticklocs(minor=True)) == 0


def test_scale_can_be_chosen_and_is_checked() -> None:
    assert axis(QUICK, scale="linear").get_xscale() == "linear"
    assert axis([0, 0.5, 1], scale="stretched").get_xscale() == "function"
    with pytest.raises(ValueError, match="x_scale: 'log' is not allowed; it must be auto, linear, stretched"):
        axis(QUICK, scale="log")


def test_values_of_which_something_is_said_are_labelled_first() -> None:
    assert {0.93, 0.97} <= set(ticks_of(QUICK, 2.6, stretched=True, first=[0.93, 0.97, math.nan]))
    assert 0.97 not in ticks_of(QUICK, 2.6, stretched=True)


@pytest.mark.parametrize("rhos", [QUICK, [0.3, 0.9, 0.95, 0.97, 1], [i / 50 for i in range(51)], [0, 0.37, 0.61, 1]])
@pytest.mark.parametrize("scale", ["linear", "stretched"])
def test_labels_are_values_of_the_grid(rhos: Sequence[float], scale: str) -> None:
    ticks = axis(rhos, scale=scale).get_xticks()
    assert len(ticks) >= 3
    assert all(min(abs(tick - rho) for rho in rhos) < 1e-9 for tick in ticks)


def test_a_grid_of_long_numbers_has_round_labels() -> None:
    """As c is, of round rho."""
    ticks = axis([0.2 + 0.8 * (i / 20) ** 1.7 for i in range(21)], scale="linear").get_xticks()
    assert len(ticks) >= 4
    assert all(round(tick, 2) == pytest.approx(tick) for tick in ticks)
