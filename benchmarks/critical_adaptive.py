"""Cells and coverage of adaptive sweeps, simulated: python -m benchmarks.critical_adaptive [--worlds 24].

Two data sets whose critical rho differ by up to 0.03 share their rho values. A uniform grid of the same precision is
the one with the fewest cells, over steps and numbers of seeds, whose intervals are both narrow enough.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.adaptive.placement import START, Guess, guess, next_round
from analysis.critical.rule import estimate
from benchmarks.critical_worlds import UNITS, Floats, Noise, World, linear, step

STEPS = (0.05, 0.04, 0.025, 0.02, 0.0125, 0.01, 0.005, 0.0025)
SEEDS = (3, 5, 7, 9, 13, 19)
WORLDS = {"alike": Noise(0.05, 0.05, 0.1), "jitter .005": Noise(0.05, 0.05, 0.1, 0.005)}
MOST_ROUNDS = 40


@dataclass
class Curve:
    """One data set's world: its cells are drawn once, by rho and seed, whoever asks for them."""

    world: World
    noise: Noise
    key: int

    def measured(self, rho: float, seed: int) -> float:
        """Top KL in nats of one cell."""
        own = np.random.default_rng([self.key, seed])
        shift = float(self.noise.shifts(own, 1)[0])
        exact = self.world.curve(np.array([min(max(rho - shift, 0), 1)]))
        return float(self.noise.measured(np.random.default_rng([self.key, seed, round(rho * 1e6)]), exact)[0])

    def table(self, cells: Sequence[tuple[float, int]]) -> tuple[Floats, Floats]:
        """Return rho (R,) and top KL (S, R) of cells, NaN where there is none."""
        rhos, seeds = sorted({rho for rho, _ in cells}), sorted({seed for _, seed in cells})
        by_seed = np.full((len(seeds), len(rhos)), np.nan)
        for rho, seed in cells:
            by_seed[seeds.index(seed), rhos.index(rho)] = self.measured(rho, seed)
        return np.array(rhos), by_seed


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended: cells of all data sets, distinct rho values, rounds, and whether each interval holds."""

    cells: int
    rhos: int
    rounds: int
    holds: tuple[bool, ...]
    narrow: bool


def adaptive(curves: Sequence[Curve], target: float) -> Outcome:
    """Run the rule of `analysis.adaptive.placement` to its end."""
    cells = [[(rho, seed) for rho in START for seed in range(3)] for _ in curves]
    rounds = 0
    while True:
        guesses = {str(i): _guess(curve, own, target) for i, (curve, own) in enumerate(zip(curves, cells, strict=True))}
        seeds = {str(i): sorted({seed for _, seed in own}) for i, own in enumerate(cells)}
        known = sorted({rho for own in cells for rho, _ in own})
        plan = next_round(guesses, seeds, known)
        if plan is None or rounds == MOST_ROUNDS:
            break
        rounds += 1
        for i, own in enumerate(cells):
            own += [(rho, seed) for rho in plan.rhos for seed in seeds[str(i)]]
            own += [(rho, seed) for rho in plan.windows.get(str(i), ()) for seed in plan.seeds.get(str(i), ())]
    found = [one.found for one in guesses.values()]
    holds = tuple(e.low <= curve.world.truth <= e.high for e, curve in zip(found, curves, strict=True) if e.has_value)
    narrow = all(e.has_value and e.high - e.low <= target + 1e-9 for e in found)
    return Outcome(sum(len(set(own)) for own in cells), len(known), rounds, holds, narrow)


def uniform(curves: Sequence[Curve], target: float) -> int | None:
    """Fewest cells of a uniform grid whose intervals are all narrow enough; None if none of those tried is."""
    sizes = sorted((len(step(size)) * seeds, size, seeds) for size in STEPS for seeds in SEEDS)
    for cells, size, seeds in sizes:
        grid = step(size)
        tables = [curve.table([(rho, seed) for rho in grid.tolist() for seed in range(seeds)]) for curve in curves]
        found = [estimate(rho, by_seed, UNITS) for rho, by_seed in tables]
        if all(e.has_value and e.high - e.low <= target + 1e-9 for e in found):
            return len(curves) * cells
    return None


def pair(generator: np.random.Generator, noise: Noise) -> list[Curve]:
    """Draw two data sets' worlds."""
    first = linear(generator, 0.6, 0.92)
    second = linear(generator, max(first.truth - 0.03, 0.6), min(first.truth + 0.03, 0.93))
    return [Curve(world, noise, int(generator.integers(2**31))) for world in (first, second)]


def _guess(curve: Curve, cells: Sequence[tuple[float, int]], target: float) -> Guess:
    rho, by_seed = curve.table(cells)
    return guess(rho, by_seed, UNITS, target)


def main() -> None:
    """Print the table of benchmarks/README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=24)
    worlds = parser.parse_args().worlds
    print("| seeds | target | rho values | rounds | cells | uniform grid's | ratio | coverage | narrow enough |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, noise in WORLDS.items():
        for target in (0.02, 0.01):
            generator = np.random.default_rng(0)
            pairs = [pair(generator, noise) for _ in range(worlds)]
            outcomes = [adaptive(each, target) for each in pairs]
            others = [uniform(each, target) for each in pairs]
            both = [(o.cells, u) for o, u in zip(outcomes, others, strict=True) if u is not None]
            ratio = float(np.median([mine / theirs for mine, theirs in both])) if both else float("nan")
            theirs = f"{np.median([u for _, u in both]):.0f} ({worlds - len(both)} never)" if both else "never"
            holds = np.mean([held for o in outcomes for held in o.holds])
            middle = [np.median([getattr(o, key) for o in outcomes]) for key in ("rhos", "rounds", "cells")]
            enough = np.mean([o.narrow for o in outcomes])
            numbers = " | ".join(f"{value:.0f}" for value in middle)
            print(
                f"| {name} | {target} | {numbers} | {theirs} | {ratio:.2f} | {holds:.2f} | {enough:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
