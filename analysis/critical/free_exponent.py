r"""A second opinion for cascades: the first threshold, with an exponent that is not taken to be 1.

    y = b + A max(0, c* - c)^gamma,  A >= 0      in nats, c = rho^2 (1 - 1/K) + 1/K

Where modes come into use one after another the total KL leaves zero more slowly than any one of them does: gamma is
between 1 and 4. c* of a seed is the mean over exp(-sum of squares / 2 variance), as gamma and c* are hard to tell
apart. The interval is t SE and one gap of the grid (at least 0.02) besides, which covered the error of the form itself
where it was simulated (`benchmarks/README.md`). A diagnostic: where there is one threshold the kink is nearer to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.critical.kink import Floats, Window
from analysis.critical.seed_interval import COVERAGE, LEAST_SEEDS, t_quantile

EXPONENTS = np.linspace(1.0, 4.0, 31)
PLACES = 161
FOOT = 0.06  # of the fall: the foot, which tells the exponent, counts more than in the kink's weights
FORM = 0.02  # in rho: least error of the form itself
PARAMETERS = 5  # of a seed's curve: b, A, c*, gamma, and the variance
LEAST_POINTS = 6


@dataclass(frozen=True)
class FirstThreshold:
    """rho of the first threshold with its interval, and the exponent (both means over seeds); NaN: no answer."""

    rho: float = math.nan
    low: float = math.nan
    high: float = math.nan
    exponent: float = math.nan


def first_threshold(rho: Floats, by_seed: Floats) -> FirstThreshold:
    """Fit top KL by_seed (S, R) in nats at rho (R,); no answer for fewer than 3 seeds or 6 points in the window."""
    window = Window.of(rho, by_seed)
    whole = window.by_seed[~np.isnan(window.by_seed).any(axis=1)]
    if len(whole) < LEAST_SEEDS or len(window.rho) < LEAST_POINTS:
        return FirstThreshold()
    x = window.rho**2  # c is linear in it, and K only scales A
    places = np.linspace(x[0], x[-1], PLACES)
    distance = np.maximum(places[:, None, None] - x, 0)  # (X, 1, R)
    with np.errstate(divide="ignore"):
        powers = np.where(distance > 0, distance ** EXPONENTS[:, None], 0.0)  # (X, G, R)
    w = (FOOT + window.height) ** -2
    w /= w.sum()
    centred = powers - (powers @ w)[..., None]
    squares = (centred**2) @ w
    y = whole - (whole @ w)[:, None]
    product = np.einsum("xgr,sr->sxg", centred, y * w)
    gain = np.where(squares > 0, np.maximum(product, 0) ** 2 / np.where(squares > 0, squares, 1), 0)
    squares_left = np.maximum(((y**2) @ w)[:, None, None] - gain, 0)  # (S, X, G)
    least = squares_left.min(axis=(1, 2))
    variance = least.sum() / max(1, whole.size - PARAMETERS * len(whole))
    excess = squares_left - least[:, None, None]
    density = np.exp(-0.5 * excess / max(variance, np.finfo(float).tiny))
    density /= density.sum(axis=(1, 2), keepdims=True)
    place, exponent = density.sum(axis=2), density.sum(axis=1)
    at = np.sqrt(places)
    means = place @ at
    own = float((place @ at**2 - means**2).mean())
    error = math.sqrt(max(float(means.var(ddof=1)), own) / len(whole))
    half = t_quantile(COVERAGE, len(whole)) * error + max(FORM, float(np.diff(window.rho).max()))
    centre = float(means.mean())
    return FirstThreshold(
        centre, max(centre - half, 0.0), min(centre + half, 1.0), float((exponent @ EXPONENTS).mean())
    )
