"""Bias, error, coverage and abstentions of the critical value, simulated.

python -m benchmarks.critical [--repetitions 200]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.critical.compare import Difference, paired
from analysis.critical.rule import Estimate, estimate
from benchmarks.critical_worlds import (
    NOISES,
    QUICK,
    UNITS,
    Floats,
    Noise,
    World,
    cascade,
    exponential,
    flat,
    jump,
    linear,
    logistic,
    power_law,
    step,
)

Draw = Callable[[np.random.Generator], World]


TESTS: tuple[Callable[[Difference], bool], ...] = (
    Difference.differs,
    lambda one: one.same(0.01),
    lambda one: one.same(0.02),
)


@dataclass
class Tally:
    """Estimates of many worlds, and their truths."""

    estimates: list[Estimate] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)

    @property
    def kinds(self) -> Counter[str]:
        """How often each verdict was given."""
        return Counter(each.kind for each in self.estimates)

    @property
    def errors(self) -> Floats:
        """Errors of the values that were given."""
        pairs = zip(self.estimates, self.truths, strict=True)
        return np.array([each.rho - truth for each, truth in pairs if each.has_value])

    @property
    def rms(self) -> float:
        """Root mean square error."""
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def coverage(self) -> float:
        """Share of intervals that hold the truth."""
        pairs = zip(self.estimates, self.truths, strict=True)
        return float(np.mean([each.low <= truth <= each.high for each, truth in pairs if each.has_value]))

    @property
    def width(self) -> float:
        """Median width of the intervals."""
        return float(np.median([each.high - each.low for each in self.estimates if each.has_value]))


def simulate(draw: Draw, grid: Floats, seeds: int, noise: str, repetitions: int, seed: int = 0) -> Tally:
    """Draw worlds, measure each once, and judge it."""
    generator, tally = np.random.default_rng(seed), Tally()
    for _ in range(repetitions):
        world = draw(generator)
        tally.estimates.append(estimate(grid, world.draw(generator, grid, seeds, NOISES[noise]), UNITS))
        tally.truths.append(world.truth)
    return tally


def anywhere(generator: np.random.Generator) -> World:
    """Draw a kink that a grid from 0 can bracket."""
    return linear(generator, 0.3, 0.95)


def early(generator: np.random.Generator) -> World:
    """Draw a kink that stays bracketed when it is shifted by a few hundredths."""
    return linear(generator, 0.6, 0.93)


def late(generator: np.random.Generator) -> World:
    """Draw a kink where the quick grid is dense."""
    return linear(generator, 0.8, 0.98)


def differences(
    shift: float,
    seeds: int,
    repetitions: int,
    size: float = 0.01,
    seed: int = 0,
    *,
    draw: Draw = early,
    noise: Noise = NOISES["mid"],
) -> list[Difference]:
    """Pair two curves that are the same but for a `shift` in rho: kinks, measured with middling noise, unless given.

    Their seeds' shifts correlate by 0.6. A pair that is not compared is left out.
    """
    generator, grid, found = np.random.default_rng(seed), step(size), []
    for _ in range(repetitions):
        world = draw(generator)
        shared = np.sqrt(0.6) * noise.shifts(generator, seeds)
        pair = []
        for moved in (0.0, shift):
            shifts = shared + np.sqrt(0.4) * noise.shifts(generator, seeds) + moved
            exact = np.stack([world.curve(np.clip(grid - each, 0, 1)) for each in shifts])
            pair.append(estimate(grid, noise.measured(generator, exact), UNITS))
        _, difference, _ = paired(*pair)
        if difference is not None:
            found.append(difference)
    return found


def main() -> None:
    """Print the tables of benchmarks/README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    grids: dict[str, tuple[Floats, Draw]] = {
        "step .02": (step(0.02), anywhere),
        "step .05": (step(0.05), anywhere),
        "quick": (QUICK, late),
    }
    print("| grid | noise | S | bias | rms | coverage | median width | no value |\n|---|---|---|---|---|---|---|---|")
    for name, (grid, kinks) in grids.items():
        for noise in NOISES:
            for seeds in (3, 5, 10):
                tally = simulate(kinks, grid, seeds, noise, repetitions)
                without = {kind: n for kind, n in tally.kinds.items() if kind not in ("kink", "undecided", "jump")}
                said = ", ".join(f"{n} {kind}" for kind, n in sorted(without.items())) or "0"
                numbers = f"{tally.errors.mean():+.4f} | {tally.rms:.4f} | {tally.coverage:.3f} | {tally.width:.4f}"
                print(f"| {name} | {noise} | {seeds} | {numbers} | {said} |", flush=True)
    print("\n| jump of 1 to 10 nats | noise | S | coverage | median width | verdicts |\n|---|---|---|---|---|---|")
    for name, grid in {"step .01": step(0.01), "step .02": step(0.02)}.items():
        for noise in NOISES:
            for seeds in (3, 5):
                tally = simulate(jump, grid, seeds, noise, repetitions)
                said = ", ".join(f"{n} {kind}" for kind, n in tally.kinds.most_common())
                print(f"| {name} | {noise} | {seeds} | {tally.coverage:.3f} | {tally.width:.4f} | {said} |", flush=True)
    print("\n| step .01 | S | true difference | compared | coverage of 95 % | differs | same within .01 | .02 |")
    print("|---" * 8 + "|")
    shapes: dict[str, Draw] = {"kink": early, "jump": jump, "exponential": exponential}
    for shape, draw in shapes.items():
        for seeds in (3, 5, 10):
            for shift in (0.0, 0.01, 0.02):
                found = differences(shift, seeds, repetitions, draw=draw)
                held = np.mean([one.interval(0.95)[0] <= -shift <= one.interval(0.95)[1] for one in found])
                shares = [held, *(np.mean([test(one) for one in found]) for test in TESTS)]
                said = " | ".join(f"{share:.3f}" for share in shares)
                print(f"| {shape} | {seeds} | {shift:g} | {len(found)} | {said} |", flush=True)
    print("\n| fall, S = 5 | grid | noise | verdicts |\n|---|---|---|---|")
    falls: dict[str, Draw] = {
        "exponential": exponential,
        "logistic": logistic,
        "flat": flat,
        "cascade, 10 %": cascade,
        "power law": power_law,
    }
    for fall, draw in falls.items():
        for name, grid in {"step .01": step(0.01), "step .02": step(0.02), "quick": QUICK}.items():
            for noise in NOISES:
                kinds = simulate(draw, grid, 5, noise, repetitions).kinds
                print(f"| {fall} | {name} | {noise} | {', '.join(f'{n} {k}' for k, n in kinds.most_common())} |")


if __name__ == "__main__":
    main()
