"""Curves of top KL with a known answer: the solved linear model with noise, and falls that have no kink.

mild   3 % of the KL, and 0.02 nats
mid    5 %, 0.05 nats, a residue of 0.1 nats, a shift of rho_c between seeds with a deviation of 0.005
hard   10 %, 0.1 nats, the same residue, a shift of 0.01, and one seed in ten is off by 0.1
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analysis.critical.linear import critical_rho, top_kl

Floats = NDArray[np.float64]
UNITS = 40
QUICK = np.array([0, 0.5, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1.0])


def step(size: float, first: float = 0.0) -> Floats:
    """Grid from `first` to 1."""
    return np.round(np.arange(first, 1 + size / 2, size), 9)


@dataclass(frozen=True)
class Noise:
    """Relative and absolute noise in nats, residue in nats, and what shifts a seed's curve in rho."""

    relative: float
    absolute: float
    residue: float = 0.0
    jitter: float = 0.0
    off: float = 0.0

    def shifts(self, generator: np.random.Generator, seeds: int) -> Floats:
        """Draw the shift of each seed's curve (S,)."""
        far = (generator.random(seeds) < 0.1) * generator.choice([-1.0, 1.0], seeds)
        drawn: Floats = self.jitter * generator.standard_normal(seeds) + self.off * far
        return drawn

    def measured(self, generator: np.random.Generator, exact: Floats) -> Floats:
        """Add noise to exact curves (S, R); a KL is never negative."""
        first, second = generator.standard_normal((2, *exact.shape))
        noisy: Floats = exact * (1 + self.relative * first) + np.abs(self.absolute * second) + self.residue
        return noisy


NOISES = {
    "mild": Noise(0.03, 0.02),
    "mid": Noise(0.05, 0.05, 0.1, 0.005),
    "hard": Noise(0.10, 0.1, 0.1, 0.01, 0.1),
}


@dataclass(frozen=True)
class World:
    """A fall: its top KL as a function of rho, and the exact critical rho; NaN where there is none."""

    curve: Callable[[Floats], Floats]
    truth: float = math.nan

    def draw(self, generator: np.random.Generator, grid: Floats, seeds: int, noise: Noise) -> Floats:
        """Measure it on a grid (R,) from S seeds: (S, R) nats."""
        shifts = noise.shifts(generator, seeds)
        exact = np.stack([self.curve(np.clip(grid - shift, 0, 1)) for shift in shifts])
        return noise.measured(generator, exact)


def linear(generator: np.random.Generator, low: float, high: float) -> World:
    """Draw forty units of one mode: r in .35 to .9, K in 3 to 20, whose rho_c lies in (low, high)."""
    while True:
        r, K = float(generator.uniform(0.35, 0.9)), int(generator.integers(3, 21))
        if low < critical_rho(r, K) < high:
            return World(partial(top_kl, ratios=[r] * UNITS, K=K), critical_rho(r, K))


def jump(generator: np.random.Generator) -> World:
    """Draw a straight fall that ends in a jump of 1 to 10 nats."""
    place, height, slope = generator.uniform(0.75, 0.93), generator.uniform(1, 10), generator.uniform(15, 60)
    return World(lambda rho: np.where(rho < place, height + slope * (place - rho), 0.0), float(place))


def cascade(generator: np.random.Generator) -> World:
    """Draw forty modes whose r differ by 10 %; the truth is the first threshold."""
    r, K = float(generator.uniform(0.45, 0.8)), int(generator.integers(4, 21))
    ratios = np.clip(r * (1 + 0.1 * generator.standard_normal(UNITS)), 0.02, 0.98).tolist()
    return World(lambda rho: top_kl(rho, ratios, K), critical_rho(max(ratios), K))


def power_law(generator: np.random.Generator) -> World:
    """Draw modes that fall off as a power of their number; the truth is the first threshold."""
    exponent, K = float(generator.uniform(0.3, 1.0)), int(generator.integers(3, 21))
    ratios = (0.95 * np.arange(1, UNITS + 1) ** -exponent).tolist()
    return World(lambda rho: top_kl(rho, ratios, K), critical_rho(0.95, K))


def exponential(generator: np.random.Generator) -> World:
    """Draw a plateau, and then a tail that falls exponentially over .02 to .1."""
    start, scale = generator.uniform(0.5, 0.8), generator.uniform(0.02, 0.1)
    height = generator.uniform(5, 20)
    return World(lambda rho: np.minimum(height, height * np.exp(-(rho - start) / scale)))


def logistic(generator: np.random.Generator) -> World:
    """Draw a logistic fall over .01 to .05."""
    middle, scale = generator.uniform(0.6, 0.85), generator.uniform(0.01, 0.05)
    height = generator.uniform(5, 20)
    return World(lambda rho: height / (1 + np.exp((rho - middle) / scale)))


def flat(generator: np.random.Generator) -> World:
    """Draw the same KL at every rho."""
    height = float(generator.choice([0.0, *generator.uniform(0.05, 15, 3)]))
    return World(lambda rho: np.full_like(rho, height))
