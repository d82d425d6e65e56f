r"""The kink of a falling curve: where the top layer starts to be used, by least squares, seed by seed.

In the solvable linear model the top KL is nothing above rho_c and leaves zero with a finite slope below it. A curve of
that kind, with x = rho^2 (in which the retained variance is linear), is

    y(rho) = b + a1 d + a2 d^2,      d = max(0, x_c - x)                                nats
    a1 >= 0, and no rise at the window's left end

fitted to each seed by weighted least squares with weights 1 / (P/4 + z - b)^2; x_c is profiled over a fine grid.

    z = decreasing isotonic regression of the median over seeds, b = z at the largest rho, P = z at the smallest - b
    window = from the last rho with z >= b + 0.6 P (extended left until three points have z > b + P/10) to the last

The same fit with d = 2 rho_c s log(1 + exp((x_c - x) / (2 rho_c s))) is that of a kink that is rounded over a width s
in rho, one s for all seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import chi2

Floats: TypeAlias = NDArray[np.float64]

ROUNDINGS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08)
PLACES = 241  # values of x_c in a window
PARAMETERS = 4  # of a seed's curve: b, a1, a2, x_c
LEAST_POINTS = PARAMETERS + 1
EXACT = 1e-5  # share of a curve's square that the steps between places can leave
ACCEPTED = float(chi2.ppf(0.9, 1))  # 2.71: largest likelihood ratio that a rounding is accepted with


@dataclass(frozen=True)
class Window:
    """The part of a curve that the kink is looked for in, from its residue b = 0 in units of its fall P.

    rho (R,) ascends; by_seed (S, R) is (KL - b) / P, NaN where a seed has no value; height (R,) is (z - b) / P.
    """

    rho: Floats
    by_seed: Floats
    height: Floats

    @classmethod
    def of(cls, rho: Floats, by_seed: Floats) -> Window:
        """Cut the window out of a whole curve, by_seed (S, R) in nats; raises ValueError if it does not fall."""
        z = isotonic(rho, by_seed)
        fall = z[0] - z[-1]
        if not fall > 0:
            raise ValueError("by_seed: does not fall over rho")
        height = (z - z[-1]) / fall
        upper, used = int(np.flatnonzero(height >= 0.6)[-1]), np.flatnonzero(height > 0.1)
        left = min(upper, int(used[-3])) if len(used) >= 3 else 0
        return cls(rho[left:], (by_seed[:, left:] - z[-1]) / fall, height[left:])

    @property
    def weights(self) -> Floats:
        """Weights (R,) of the fit: noise grows with the KL."""
        weights: Floats = (0.25 + self.height) ** -2
        return weights


@dataclass(frozen=True)
class Kink:
    """The kinks of S seeds, from profiles of the weighted sum of squares.

    fitted says which seeds of the curve have enough values to be fitted: S of them. places (X,) are the
    x_c that were tried; profiles (len(ROUNDINGS), S, X) the sums of squares.
    """

    window: Window
    fitted: NDArray[np.bool_]
    places: Floats
    profiles: Floats

    @classmethod
    def fit(cls, window: Window) -> Kink:
        """Profile x_c of every seed that has enough values, for every rounding."""
        x = window.rho**2
        places = np.linspace(x[0], x[-1], PLACES)
        known = ~np.isnan(window.by_seed)
        w, y = np.where(known, window.weights, 0.0), np.where(known, window.by_seed, 0.0)
        enough = known.sum(axis=1) >= LEAST_POINTS
        y, w, kept = y[enough], w[enough], replace(window, by_seed=window.by_seed[enough])
        return cls(kept, enough, places, np.stack([_sums_of_squares(x, y, w, places, s) for s in ROUNDINGS]))

    @cached_property
    def seeds(self) -> int:
        """Number S of seeds."""
        return int(self.profiles.shape[1])

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of all seeds' fits together."""
        return max(1, int((~np.isnan(self.window.by_seed)).sum()) - PARAMETERS * self.seeds)

    @cached_property
    def least(self) -> Floats:
        """Least sum of squares over x_c, summed over seeds, of each rounding."""
        _, lowest = _vertex(self.profiles)
        least: Floats = lowest.sum(axis=1)
        return least

    @cached_property
    def ratios(self) -> Floats:
        """Likelihood ratio of each rounding against the best."""
        window = self.window
        exact = EXACT * float(np.nansum(window.weights * window.by_seed**2)) + np.finfo(float).tiny
        ratios: Floats = self.freedom * np.log((self.least + exact) / (self.least.min() + exact))
        return ratios

    @cached_property
    def accepted(self) -> Floats:
        """Roundings that the curves allow, in rho."""
        return np.array(ROUNDINGS)[self.ratios <= ACCEPTED]

    @cached_property
    def rounding(self) -> float:
        """The least rounding that the curves allow: 0 for what may be a kink."""
        return float(self.accepted.min())

    @cached_property
    def _profile(self) -> Floats:
        """Profiles (S, X) of a sharp kink."""
        sharp: Floats = self.profiles[0]
        return sharp

    @cached_property
    def by_seed(self) -> Floats:
        """rho_c of each seed (S,)."""
        place, _ = _vertex(self._profile)
        by_seed: Floats = np.sqrt(np.interp(place, np.arange(PLACES), self.places))
        return by_seed

    @cached_property
    def variances(self) -> Floats:
        """Variance of each seed's rho_c (S,) from its profile: that of exp(-sum of squares / 2 variance)."""
        variance = self.least[0] / self.freedom
        excess = self._profile - self._profile.min(axis=1, keepdims=True)
        density = np.exp(-0.5 * excess / max(variance, np.finfo(float).tiny))
        density /= density.sum(axis=1, keepdims=True)
        rho = np.sqrt(self.places)
        mean = density @ rho
        variances: Floats = density @ rho**2 - mean**2
        return variances

    def of_all(self, values: Floats) -> tuple[float, ...]:
        """Spread values of the fitted seeds (S,) over all seeds of the curve, with NaN for the others."""
        spread = np.full(len(self.fitted), math.nan)
        spread[self.fitted] = values
        return tuple(spread.tolist())

    @cached_property
    def rho(self) -> float:
        """Critical rho: the mean over seeds."""
        return float(self.by_seed.mean())

    @cached_property
    def variance(self) -> float:
        """Variance of the mean: the larger of what the seeds show and what their profiles say."""
        between = float(self.by_seed.var(ddof=1)) if self.seeds > 1 else 0.0
        return max(between, float(self.variances.mean())) / self.seeds

    @cached_property
    def gap(self) -> float:
        """Distance h of the grid's values on both sides of rho_c: of the finer side where rho_c may be a grid value."""
        grid = self.window.rho
        gaps, i = np.diff(grid), self._place
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(gaps)]
        at = [gaps[j] for j in near if abs(self.rho - grid[max(i, j)]) <= gaps[j] / 4]
        return float(min([gaps[i], *at]))

    @cached_property
    def gap_before(self) -> float:
        """The grid's next gap on the left, over which the curve's bend is known by its ends alone."""
        return float(np.diff(self.window.rho)[max(self._place - 1, 0)])

    @property
    def _place(self) -> int:
        """Number of the gap that rho_c lies in."""
        return int(np.clip(np.searchsorted(self.window.rho, self.rho), 1, len(self.window.rho) - 1)) - 1

    @cached_property
    def at_edge(self) -> float:
        """Share of seeds whose best x_c is an end of the window."""
        best = self._profile.argmin(axis=1)
        return float(np.mean((best == 0) | (best == PLACES - 1)))


def isotonic(rho: Floats, by_seed: Floats) -> Floats:
    """Decreasing regression of the median over seeds (S, R) -> (R,)."""
    z: Floats = isotonic_regression(np.nanmedian(by_seed, axis=0), increasing=False).x
    return z


def crossing(rho: Floats, values: Floats, level: float) -> float:
    """Return the last rho (R,) at which piecewise-linear values (R,) fall through a level; NaN if they never do."""
    falls = np.flatnonzero((values[:-1] >= level) & (values[1:] < level))
    if not len(falls):
        return math.nan
    i = int(falls[-1])
    share = (values[i] - level) / (values[i] - values[i + 1])
    return float(rho[i] + share * (rho[i + 1] - rho[i]))


def _vertex(profiles: Floats) -> tuple[Floats, Floats]:
    """Return place (in steps, along the last axis) and height of the parabola through each profile's three lowest."""
    lowest = profiles.argmin(axis=-1)
    inner = np.clip(lowest, 1, profiles.shape[-1] - 2)
    before, at, after = (np.take_along_axis(profiles, (inner + i)[..., None], -1)[..., 0] for i in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(
        (lowest == inner) & (bend > 0), 0.5 * (before - after) / np.where(bend > 0, bend, 1), lowest - inner
    )
    height = np.where(lowest == inner, at - 0.25 * (before - after) * shift, profiles.min(axis=-1))
    return inner + shift, np.maximum(height, 0.0)


def _sums_of_squares(x: Floats, y: Floats, w: Floats, places: Floats, rounding: float) -> Floats:
    """Least weighted sum of squares (S, X) of y (S, R) with weights w (S, R), for each x_c in places (X,)."""
    d = places[:, None] - x  # (X, R)
    if rounding:
        scale = 2 * np.sqrt(places)[:, None] * rounding
        d = scale * np.logaddexp(0, d / np.maximum(scale, 1e-12))
    else:
        d = np.maximum(d, 0)
    widest = np.maximum(d[:, :1], 1e-12)
    quadratic = d**2 / (2 * widest)
    # b + u (d - d^2 / 2D) + v d^2 / 2D with u = a1, v = the slope at the left end D: both at least 0
    columns = np.stack([d - quadratic, quadratic])[:, None]  # (2, 1, X, R)
    w, y = w[:, None], y[:, None]  # (S, 1, R)
    total = w.sum(axis=-1, keepdims=True)
    centred = columns - (w * columns).sum(axis=-1, keepdims=True) / total
    rest = y - (w * y).sum(axis=-1, keepdims=True) / total
    g11, g22 = ((w * c * c).sum(axis=-1) for c in centred)
    g12 = (w * centred[0] * centred[1]).sum(axis=-1)
    h1, h2 = ((w * c * rest).sum(axis=-1) for c in centred)
    determinant = g11 * g22 - g12**2
    regular = determinant > 1e-10 * g11 * g22
    safe = np.where(regular, determinant, 1.0)
    u, v = (g22 * h1 - g12 * h2) / safe, (g11 * h2 - g12 * h1) / safe
    explained_both = np.where(regular & (u >= 0) & (v >= 0), u * h1 + v * h2, -np.inf)
    alone = [np.maximum(h, 0) ** 2 / np.where(g > 0, g, np.inf) for g, h in ((g11, h1), (g22, h2))]
    squares = (w * rest**2).sum(axis=-1)
    left: Floats = np.maximum(squares - np.maximum(explained_both, np.maximum(*alone)), 0.0)
    return left
