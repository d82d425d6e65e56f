"""When a curve has a critical value, with which interval, and what is said of it otherwise.

    half-width = max(t SE, h / 4, h' / 8, 2 s)
    90 %; t of S - 1 seeds, h the grid's gap at rho_c, h' the next one on its left, s the rounding

The rule was chosen by simulation on the solvable linear model, and on falls that have no kink: `benchmarks/README.md`
holds the bias, the error and the coverage that were measured. A total KL cannot tell the first unit that comes into
use from those that follow close behind: with several units rho_c is the onset of the bulk of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from analysis.critical.jump import Jump, find_jump
from analysis.critical.kink import LEAST_POINTS, ROUNDINGS, Floats, Kink, Window, crossing, isotonic
from analysis.critical.seed_interval import COVERAGE, LEAST_SEEDS, t_quantile

Kind: TypeAlias = Literal[
    "kink", "undecided", "jump", "crossover", "bracket", "flat", "coarse", "unbracketed", "few", "untrained"
]

VALUES: tuple[Kind, ...] = ("kink", "undecided", "jump")
"""Kinds that come with a value and an interval."""

LEAST_FALL = 0.02  # nats per unit
NAMED_LEVEL = 0.05  # nats per unit: the crossing that stands for a fall without a kink
LARGEST_GAP = 0.05
LEAST_LEFT, LEAST_RIGHT = 3, 2  # points of the window on both sides of rho_c
MOST_AT_EDGE = 0.2  # of the seeds
RESOLVED = 0.25  # of the gap: a rounding that is wider is a crossover
APART = 0.05  # from the median over seeds


@dataclass(frozen=True)
class Estimate:
    """What one curve says: a value with its interval, or why there is none.

    rho, low, high: the critical rho and its 90 % interval. bracket: rho values of the grid that it lies between, where
    there are too few seeds for an interval. rounding: s; widest: the largest s that the curve allows. gap: h.
    by_seed: rho_c of each seed; variances: of each seed's profile. crossings: rho at 0.05 nats per unit of each seed;
    crossing_gaps: the grid's values on both sides of each; crossing: of the seeds' median. step: height of a jump in
    nats, and bracket the points that it lies between. kink: the fit behind it, None where there are too few points.
    Missing numbers are NaN.
    """

    kind: Kind
    rho: float = math.nan
    low: float = math.nan
    high: float = math.nan
    bracket: tuple[float, float] = (math.nan, math.nan)
    rounding: float = math.nan
    widest: float = math.nan
    gap: float = math.nan
    by_seed: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()
    crossings: tuple[float, ...] = ()
    crossing_gaps: tuple[tuple[float, float], ...] = ()
    crossing: float = math.nan
    step: float = math.nan
    kink: Kink | None = field(default=None, repr=False, compare=False)

    @property
    def has_value(self) -> bool:
        """Whether there is a critical rho with an interval."""
        return self.kind in VALUES

    @property
    def limit(self) -> float:
        """The largest rounding that the curve allows; infinite where even the largest tried is allowed, NaN: no fit."""
        return math.inf if self.widest >= ROUNDINGS[-1] else self.widest

    @property
    def apart(self) -> list[int]:
        """Places of the seeds whose rho_c is far from the others'."""
        if len(self.by_seed) < LEAST_SEEDS:
            return []
        return np.flatnonzero(np.abs(np.array(self.by_seed) - np.nanmedian(self.by_seed)) > APART).tolist()


def estimate(rho: Floats, by_seed: Floats, units: int) -> Estimate:
    """Judge one curve: top KL by_seed (S, R) in nats, NaN where a seed has none, at rho (R,) ascending."""
    if len(rho) < LEAST_POINTS:
        return Estimate("few")
    z = isotonic(rho, by_seed)
    level = NAMED_LEVEL * units
    crossings, gaps = zip(*(_crossing(rho, row, level) for row in by_seed), strict=True)
    found = Estimate("flat", crossings=crossings, crossing_gaps=gaps, crossing=crossing(rho, z, level))
    if is_flat(z, units):
        return found
    window = Window.of(rho, by_seed)
    kink = Kink.fit(window) if len(window.rho) >= LEAST_POINTS else None
    if kink is None or not kink.seeds:
        return replace(found, kind="unbracketed")
    found = replace(found, kink=kink, rounding=kink.rounding, widest=float(kink.accepted.max()), gap=kink.gap)
    if kink.gap > LARGEST_GAP + 1e-9:
        return replace(found, kind="coarse")
    about = kink.gap / 4
    left, right = int((window.rho <= kink.rho + about).sum()), int((window.rho >= kink.rho - about).sum())
    if left < LEAST_LEFT or right < LEAST_RIGHT or kink.at_edge > MOST_AT_EDGE:
        return replace(found, kind="unbracketed")
    if kink.rounding > RESOLVED * kink.gap + 1e-9:
        return replace(found, kind="crossover")
    jump = find_jump(kink)
    if jump is not None:
        return _jumped(found, kink, jump, float(z[0] - z[-1]))
    found = replace(found, by_seed=kink.of_all(kink.by_seed), variances=kink.of_all(kink.variances))
    if kink.seeds < LEAST_SEEDS:
        return replace(found, kind="bracket", bracket=_bracket(window.rho, kink))
    low, high = interval(kink)
    kind: Kind = "kink" if found.widest <= kink.gap + 1e-9 else "undecided"
    return replace(found, kind=kind, rho=kink.rho, low=max(low, 0.0), high=min(high, 1.0))


def is_flat(z: Floats, units: int) -> bool:
    """Whether an isotonic curve z (R,) falls by less than 0.02 nats per unit, or by less than half."""
    return bool(z[0] - z[-1] < max(LEAST_FALL * units, 0.5 * z[0]))


def _jumped(found: Estimate, kink: Kink, jump: Jump, fall: float) -> Estimate:
    """Judge a curve with a jump: it lies anywhere in its gap, and seeds may jump in different ones."""
    ends = (float(jump.left.min()), float(jump.right.max()))
    inside = np.full(kink.seeds, jump.gap**2 / 12)
    found = replace(found, by_seed=kink.of_all(jump.middle), variances=kink.of_all(inside), bracket=ends, gap=jump.gap)
    found = replace(found, step=jump.step * fall)
    if kink.seeds < LEAST_SEEDS:
        return replace(found, kind="bracket")
    centre, error = float(jump.middle.mean()), float(jump.middle.std(ddof=1)) / math.sqrt(kink.seeds)
    half = jump.gap / 2 + t_quantile(COVERAGE, kink.seeds) * error
    return replace(found, kind="jump", rho=centre, low=max(centre - half, 0.0), high=min(centre + half, 1.0))


def interval(kink: Kink, coverage: float = COVERAGE) -> tuple[float, float]:
    """Return the ends of the interval of rho_c, which holds seeds, grid and rounding."""
    half = max(
        t_quantile(coverage, kink.seeds) * math.sqrt(kink.variance),
        kink.gap / 4,
        kink.gap_before / 8,
        2 * kink.rounding,
    )
    return kink.rho - half, kink.rho + half


def in_words(found: Estimate, units: int, steps: int) -> str:
    """Say a verdict in a few words."""
    bulk = "onset of the bulk, " if units > 1 else ""
    match found.kind:
        case "kink":
            return f"{bulk}kink, width <= {found.gap:.3g}"
        case "undecided":
            width = "of any width" if math.isinf(found.limit) else f"of width <= {found.widest:g}"
            return f"{bulk}kink or crossover {width}: cannot tell"
        case "jump":
            low, high = found.bracket
            return f"{bulk}{found.step:.3g} nats fall between {low:g} and {high:g}: a jump, or steeper than the grid"
        case "crossover":
            return f"crossover of width {_width(found)} at {steps:,} steps"
        case "bracket":
            low, high = found.bracket
            return f"{bulk}between {low:g} and {high:g}: an interval needs {LEAST_SEEDS} seeds"
        case "flat":
            return "no transition in this range of rho"
        case "coarse":
            return f"grid too coarse: a gap of {found.gap:.3g}, at most {LARGEST_GAP:g} is needed"
        case "unbracketed":
            return "the grid does not bracket the onset"
        case "few":
            return f"too few rho values: {LEAST_POINTS} are needed"
        case "untrained":
            return "worse than independent pixels at every rho"


def _width(found: Estimate) -> str:
    """Say the width of a crossover: from the least rounding to the largest that the curve allows."""
    if math.isinf(found.limit):
        return f">= {found.rounding:g}"
    return f"{found.rounding:g}" if found.rounding == found.widest else f"{found.rounding:g} to {found.widest:g}"


def _bracket(rho: Floats, kink: Kink) -> tuple[float, float]:
    """Return the grid's values around the smallest and the largest seed's rho_c, and one more on each side."""
    low = int(np.searchsorted(rho, kink.by_seed.min(), "right")) - 2
    high = int(np.searchsorted(rho, kink.by_seed.max(), "left")) + 1
    return float(rho[max(low, 0)]), float(rho[min(high, len(rho) - 1)])


def _crossing(rho: Floats, values: Floats, level: float) -> tuple[float, tuple[float, float]]:
    """Return where a seed's values (R,) cross a level, and the grid's values on both sides of that; NaN if nowhere."""
    grid = rho[~np.isnan(values)]
    if len(grid) < 2:
        return math.nan, (math.nan, math.nan)
    at = crossing(grid, isotonic(grid, values[None, ~np.isnan(values)]), level)
    right = min(int(np.searchsorted(grid, at, "right")), len(grid) - 1)
    return at, (math.nan, math.nan) if math.isnan(at) else (float(grid[right - 1]), float(grid[right]))
