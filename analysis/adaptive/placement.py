"""Where the next models of an adaptive sweep go: rho values, or seeds where seeds limit.

Each round, for the data sets whose critical rho is not known to the target (the width of its 90 % interval):

    the seeds' variance exceeds the profiles' and h / 2 <= target    two more seeds, on the window's rho values
    else    points at the quantiles (k + 1/2)/p of the mixture over data sets of uniforms on [rho_c - m, rho_c + m/2],
            m = max(half-width, h), rounded to 0.0025; all data sets get the same

A pure function of the curves, so that a sweep that was stopped goes on with the same round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.critical.kink import Floats, isotonic
from analysis.critical.rule import RESOLVED, Estimate, estimate, interval, is_flat
from analysis.critical.seed_interval import LEAST_SEEDS

START = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0)
POINTS = 4
MORE_SEEDS = 2
GRAIN = 0.0025


@dataclass(frozen=True)
class Guess:
    """What a curve says so far, whether or not it is enough for a critical value.

    centre, half: rho_c and the half-width of its interval. gap: h. open: whether more models would help. by_seeds:
    whether that is more seeds; window: the rho values that they are for.
    """

    found: Estimate
    centre: float = math.nan
    half: float = math.nan
    gap: float = math.nan
    open: bool = False
    by_seeds: bool = False
    window: tuple[float, ...] = ()


@dataclass(frozen=True)
class Round:
    """What to train next: rho values for every data set with all of its seeds, and seeds by data set."""

    rhos: tuple[float, ...] = ()
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    windows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def guess(rho: Floats, by_seed: Floats, units: int, target: float) -> Guess:
    """Judge a curve, top KL by_seed (S, R) in nats at rho (R,), for a target width in rho."""
    found = estimate(rho, by_seed, units)
    if len(rho) < 2 or len(by_seed) < LEAST_SEEDS or is_flat(isotonic(rho, by_seed), units):
        return Guess(found)
    kink = found.kink
    if kink is None or kink.seeds < LEAST_SEEDS:
        return _between(found, rho, by_seed)
    if found.kind == "jump":
        centre, half, gap = found.rho, (found.high - found.low) / 2, found.gap
        between, own = float(np.nanvar(found.by_seed, ddof=1)), float(np.nanmean(found.variances))
    else:
        low, high = interval(kink)
        centre, half, gap = kink.rho, (high - low) / 2, kink.gap
        between, own = float(kink.by_seed.var(ddof=1)), float(kink.variances.mean())
    fine = gap / 2 <= target
    narrow = found.has_value and found.high - found.low <= target + 1e-12
    rounded = found.kind == "crossover" and kink.rounding > RESOLVED * gap
    is_open = not narrow and not (fine and rounded)
    return Guess(found, centre, half, gap, is_open, fine and between > own, tuple(kink.window.rho.tolist()))


def _between(found: Estimate, rho: Floats, by_seed: Floats) -> Guess:
    """Guess from the grid alone, where too few of its points for a fit lie about the fall."""
    z = isotonic(rho, by_seed)
    last = min(int(np.flatnonzero(z - z[-1] > 0.1 * (z[0] - z[-1]))[-1]), len(rho) - 2)
    low, high = float(rho[last]), float(rho[last + 1])
    return Guess(found, high, high - low, high - low, open=high - low > GRAIN)


def next_round(
    guesses: Mapping[str, Guess], seeds: Mapping[str, Sequence[int]], known: Sequence[float]
) -> Round | None:
    """Place the next models; None where every data set is known well enough, or more models would not help.

    guesses and seeds (those that a curve has) by data set; known: the rho values that there are.
    """
    wanting = {name: one for name, one in guesses.items() if one.open}
    more = {name: one for name, one in wanting.items() if one.by_seeds}
    new_seeds = {name: tuple(range(max(seeds[name]) + 1, max(seeds[name]) + 1 + MORE_SEEDS)) for name in more}
    rhos = _points([one for one in wanting.values() if not one.by_seeds], known)
    if not (rhos or new_seeds):
        return None
    return Round(rhos, new_seeds, {name: one.window for name, one in more.items()})


def _points(guesses: Sequence[Guess], known: Sequence[float]) -> tuple[float, ...]:
    if not guesses:
        return ()
    reach = [max(one.half, one.gap) for one in guesses]
    spans = [(max(one.centre - m, 0.0), min(one.centre + m / 2, 1.0)) for one, m in zip(guesses, reach, strict=True)]
    grid = np.linspace(0, 1, 4001)
    mixture = np.mean([np.clip((grid - low) / (high - low), 0, 1) for low, high in spans], axis=0)
    quantiles = np.interp((np.arange(POINTS) + 0.5) / POINTS, mixture, grid)
    chosen: list[float] = []
    for value in quantiles:
        place = _free(float(np.clip(value, 0, 1)), [*known, *chosen])
        if place is not None:
            chosen.append(place)
    return tuple(sorted(chosen))


def _free(value: float, taken: Sequence[float]) -> float | None:
    """Round to the grain, to the nearest place within four grains that is not taken."""
    nearest = round(value / GRAIN)
    for step in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        place = round((nearest + step) * GRAIN, 6)
        if 0 <= place <= 1 and all(abs(place - other) > GRAIN / 2 for other in taken):
            return place
    return None
