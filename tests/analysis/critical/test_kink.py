"""The kink's fit, against plain least squares and against curves whose kink is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from analysis.critical.kink import ROUNDINGS, Kink, Window, crossing, isotonic

RHO = np.linspace(0.5, 1, 26)


def sharp(x_c: float, a1: float, a2: float, rho: np.ndarray = RHO) -> np.ndarray:
    d = np.maximum(x_c - rho**2, 0)
    return 0.3 + a1 * d + a2 * d**2


def rounded(rho_c: float, s: float) -> np.ndarray:
    scale = 2 * rho_c * s
    return 0.3 + 20 * scale * np.logaddexp(0, (rho_c**2 - RHO**2) / scale)


@pytest.mark.parametrize("rho_c", [0.71, 0.8, 0.885])
@pytest.mark.parametrize("a2", [-8.0, 0.0, 30.0])
def test_a_curve_of_its_own_form_is_found_exactly(rho_c: float, a2: float) -> None:
    kink = Kink.fit(Window.of(RHO, np.stack([sharp(rho_c**2, 20, a2)] * 3)))
    assert kink.rho == pytest.approx(rho_c, abs=1e-3)  # the places are 0.0016 apart
    assert kink.rounding == 0
    assert kink.accepted.max() <= kink.gap


@pytest.mark.parametrize("s", [0.01, 0.02, 0.04])
def test_a_rounding_is_found(s: float) -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal((4, len(RHO)))
    kink = Kink.fit(Window.of(RHO, rounded(0.8, s) + noise))
    assert kink.accepted.min() <= s <= kink.accepted.max()
    assert kink.rounding > 0


def test_the_profile_is_that_of_constrained_least_squares() -> None:
    """For each place scipy's non-negative least squares, with an intercept, leaves the same sum of squares."""
    generator = np.random.default_rng(3)
    by_seed = sharp(0.64, 20, -10) * (1 + 0.2 * generator.standard_normal((2, len(RHO))))
    kink = Kink.fit(Window.of(RHO, by_seed))
    window = kink.window
    x, root = window.rho**2, np.sqrt(window.weights)
    for i in range(5, 241, 47):
        for number, s in enumerate(ROUNDINGS):
            d = kink.places[i] - x
            scale = 2 * math.sqrt(kink.places[i]) * s
            d = scale * np.logaddexp(0, d / scale) if s else np.maximum(d, 0)
            quadratic = d**2 / (2 * d[0])
            columns = np.stack([d - quadratic, quadratic, np.ones_like(d), -np.ones_like(d)], axis=1)
            for row, profile in zip(window.by_seed, kink.profiles[number], strict=True):
                _, left = nnls(columns * root[:, None], row * root)
                assert profile[i] == pytest.approx(left**2, rel=1e-6, abs=1e-9)


def test_seeds_with_gaps_are_fitted_to_what_they_have() -> None:
    by_seed = np.stack([sharp(0.64, 20, 0)] * 3)
    by_seed[1, ::3] = math.nan
    by_seed[2, 4:] = math.nan
    kink = Kink.fit(Window.of(RHO, by_seed))
    assert kink.fitted.tolist() == [True, True, False]
    assert kink.by_seed == pytest.approx([0.8, 0.8], abs=1e-3)
    assert np.isnan(kink.of_all(kink.by_seed)).tolist() == [False, False, True]


@settings(max_examples=30, deadline=None)
@given(st.floats(-250, 250), st.integers(0, 2**32 - 1))
def test_nats_do_not_matter(power: float, seed: int) -> None:
    curves = sharp(0.64, 20, -5) + 0.1 * np.random.default_rng(seed).standard_normal((3, len(RHO)))
    one, other = (Kink.fit(Window.of(RHO, curves * factor)) for factor in (1.0, 10.0**power))
    assert one.by_seed == pytest.approx(other.by_seed)
    assert one.rounding == other.rounding


def test_the_crossing_is_the_last_one_and_linear_between_points() -> None:
    rho = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert crossing(rho, np.array([10.0, 0, 10, 10, 0, 0]), 5) == pytest.approx(0.7)
    assert math.isnan(crossing(rho, np.full(6, 10.0), 5))


def test_the_regression_falls_and_follows_the_median() -> None:
    z = isotonic(RHO, np.array([[5.0, 3, 4, 1], [5, 3, 4, 1], [90, 0, 0, 0]]))
    assert z.tolist() == [5, 3.5, 3.5, 1]
