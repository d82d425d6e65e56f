r"""Is it the same on two data sets? A paired test of the difference, and one of equivalence.

    d_s = rho_c of seed s on A - on B,   SE^2 = max(variance of d, mean(v_A + v_B)) / S,   v the profiles' variances
    interval = [mean of d - t SE - below, mean of d + t SE + above]

    differs            the 95 % interval excludes 0
    same within delta  the 90 % interval lies inside +-delta (two one-sided tests); of kinks, delta is no less than half
                       a gap

Paired, as seeds share their noise over data sets. Curves that differ in data alone are compared, on the seeds and rho
values that both have; where neither has a critical rho, the crossing of 0.05 nats per unit stands for it.

below, above: what the grid leaves open, which no number of seeds makes less. A jump lies anywhere in its gap, and a
crossing anywhere between two values of the grid; a kink is fitted through many, and has none.

References
----------
Schuirmann, A comparison of the two one-sided tests procedure and the power approach, 1987.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.kink import LEAST_POINTS, Floats
from analysis.critical.rule import LARGEST_GAP, Estimate, estimate
from analysis.critical.seed_interval import LEAST_SEEDS, t_quantile
from analysis.critical.table import Measured
from analysis.frames.curves import CURVE, DATA, curves

MARGIN = 0.02
ROUND_OFF = 1e-9  # of differences between rho values
MOST_SEEDS = 200

SHARED = tuple(name for name in CURVE if name not in DATA)
NUMBERS = ("difference", "low95", "high95", "low90", "high90", "margin", "largest_kl_per_unit", "at_rho")
COLUMNS = (*SHARED, "data_a", "data_b", "n_seeds", "n_rho", "quantity", *NUMBERS, "seeds_to_decide", "verdict")


@dataclass(frozen=True)
class Side:
    """What one curve brings to a comparison, all by seed (S,) in rho, NaN where a seed has none.

    values; the variances of what each is known to; below and above, how far the grid lets each be off.
    """

    values: Floats
    variances: Floats
    below: Floats
    above: Floats

    @classmethod
    def of_onset(cls, found: Estimate) -> Side:
        """Bring the critical rho of each seed."""
        values = np.array(found.by_seed)
        none = np.zeros(len(values))
        if found.kind == "jump":
            return cls(values, none, none + found.gap / 2, none + found.gap / 2)
        return cls(values, np.array(found.variances), none, none)

    @classmethod
    def of_crossing(cls, found: Estimate) -> Side:
        """Bring the crossing of each seed."""
        values, (left, right) = np.array(found.crossings), np.array(found.crossing_gaps).T
        return cls(values, np.zeros(len(values)), values - left, right - values)


@dataclass(frozen=True)
class Difference:
    """A paired difference in rho: its mean, the standard deviation of a pair, and the seeds that it is of.

    below, above: by how much less and more it can be whatever the number of seeds.
    """

    mean: float
    spread: float
    seeds: int
    below: float = 0.0
    above: float = 0.0

    @classmethod
    def of(cls, first: Side, second: Side) -> Difference:
        """Pair the values of two curves by seed."""
        d = first.values - second.values
        known = ~np.isnan(d)
        d, own = d[known], (first.variances + second.variances)[known]
        if len(d) < 2:
            return cls(math.nan, math.nan, len(d))
        spread = math.sqrt(max(float(d.var(ddof=1)), float(own.mean())))
        below, above = (first.below + second.above)[known], (first.above + second.below)[known]
        return cls(float(d.mean()), spread, len(d), float(below.mean()), float(above.mean()))

    def interval(self, coverage: float) -> tuple[float, float]:
        """Return the ends of a t interval, with what the grid leaves open beyond it."""
        return self._interval(coverage, self.seeds)

    def _interval(self, coverage: float, seeds: int) -> tuple[float, float]:
        half = t_quantile(coverage, seeds) * self.spread / math.sqrt(seeds)
        return self.mean - half - self.below, self.mean + half + self.above

    def differs(self) -> bool:
        """Whether the 95 % interval excludes 0."""
        return _excludes_zero(*self.interval(0.95))

    def same(self, margin: float) -> bool:
        """Whether the 90 % interval lies inside +-margin."""
        return _inside(*self.interval(0.9), margin)

    def seeds_to_decide(self, margin: float) -> int | None:
        """Fewest seeds that decide, if mean and spread stay as they are; None for more than 200."""
        for seeds in range(self.seeds + 1, MOST_SEEDS + 1):
            if _excludes_zero(*self._interval(0.95, seeds)) or _inside(*self._interval(0.9, seeds), margin):
                return seeds
        return None

    def is_open(self, margin: float) -> bool:
        """Whether no number of seeds would decide, if the mean stays as it is: the grid alone leaves it open."""
        ends = self.mean - self.below, self.mean + self.above
        return not (_excludes_zero(*ends) or _inside(*ends, margin))


def _excludes_zero(low: float, high: float) -> bool:
    return low > ROUND_OFF or high < -ROUND_OFF


def _inside(low: float, high: float, margin: float) -> bool:
    return -margin < low - ROUND_OFF and high + ROUND_OFF < margin


def compare_datasets(frame: pd.DataFrame, margin: float = MARGIN) -> pd.DataFrame:
    """Return one row (COLUMNS) per pair of complete curves that differ in data alone; in units of rho."""
    complete = frame[frame["state"] == "complete"]
    groups: dict[tuple[Any, ...], list[Measured]] = {}
    for curve in curves(complete):
        groups.setdefault(tuple(curve[name] for name in SHARED), []).append(Measured.of(curve))
    pairs = [pair for group in groups.values() for pair in itertools.combinations(group, 2)]
    return pd.DataFrame([_row(*_common(*pair), margin) for pair in pairs], columns=list(COLUMNS))


def _common(a: Measured, b: Measured) -> tuple[Measured, Measured]:
    """Keep the seeds and rho values that both curves have."""
    rho, seeds = np.intersect1d(a.rho, b.rho), sorted({*a.seeds} & {*b.seeds})

    def kept(one: Measured) -> Measured:
        rows = [one.seeds.index(seed) for seed in seeds]
        columns = np.isin(one.rho, rho)
        return replace(one, rho=one.rho[columns], by_seed=one.by_seed[rows][:, columns], seeds=tuple(seeds))

    return kept(a), kept(b)


def _row(a: Measured, b: Measured, margin: float) -> dict[str, Any]:
    row: dict[str, Any] = {name: a.curve[name] for name in SHARED}
    row |= {"data_a": _data(a), "data_b": _data(b), "n_seeds": len(a.seeds), "n_rho": len(a.rho), "margin": margin}
    if len(a.seeds) < LEAST_SEEDS or len(a.rho) < LEAST_POINTS:
        needed = f"{LEAST_SEEDS} seeds and {LEAST_POINTS} rho values that both have are needed"
        return {**row, "verdict": f"not compared: {needed}"}
    apart = np.abs(a.median - b.median) / a.units
    row |= {"largest_kl_per_unit": float(apart.max()), "at_rho": float(a.rho[apart.argmax()])}
    first, second = (estimate(one.rho, one.by_seed, one.units) for one in (a, b))
    quantity, found, gap = paired(first, second)
    if found is None or found.seeds < LEAST_SEEDS:
        return {**row, "verdict": f"not compared: {quantity}"}
    row["quantity"] = quantity
    (low95, high95), (low90, high90) = found.interval(0.95), found.interval(0.9)
    row |= {"difference": found.mean, "low95": low95, "high95": high95, "low90": low90, "high90": high90}
    decided = found.differs() or (found.same(margin) and _fine(margin, gap))
    row["seeds_to_decide"] = pd.NA if decided else found.seeds_to_decide(margin) or pd.NA
    return {**row, "verdict": verdict(found, margin, gap)}


def paired(first: Estimate, second: Estimate) -> tuple[str, Difference | None, float]:
    """Pair what both curves have, critical rhos or crossings, or say what is missing; and the gap of kinks' grids."""
    if first.has_value and second.has_value:
        gaps = [found.gap for found in (first, second) if found.kind != "jump"]
        return "critical rho", Difference.of(Side.of_onset(first), Side.of_onset(second)), max(gaps, default=0.0)
    if "flat" in (first.kind, second.kind):
        return "a curve has no transition in this range of rho", None, 0.0
    if first.has_value or second.has_value:
        return "one of the curves has no critical rho", None, 0.0
    if np.isnan([first.crossing, second.crossing]).any():
        return "a curve does not cross 0.05 nats per unit", None, 0.0
    widest = max(float(np.nanmax(np.diff(found.crossing_gaps), initial=0.0)) for found in (first, second))
    if widest > LARGEST_GAP + ROUND_OFF:
        return f"a gap of {widest:.3g} at the crossing, at most {LARGEST_GAP:g} is needed", None, 0.0
    found = Difference.of(Side.of_crossing(first), Side.of_crossing(second))
    return "crossing of 0.05 nats per unit", found, 0.0


def _fine(margin: float, gap: float) -> bool:
    """Whether the grid of two kinks can tell so small a margin."""
    return margin >= gap / 2 - ROUND_OFF


def verdict(found: Difference, margin: float, gap: float) -> str:
    """Say what a difference means, and what would decide it; gap: that of kinks' grids."""
    same = found.same(margin) and _fine(margin, gap)
    if found.differs():
        within = f", by less than {margin:g}" if same else ""
        return f"differs by {abs(found.mean):.4f}{within}"
    if same:
        return f"same within {margin:g}"
    low, high = found.interval(0.95)
    said = f"no difference found (resolution +-{(high - low) / 2:.4f})"
    if not _fine(margin, gap):
        return f"{said}; a margin of {margin:g} needs gaps of at most {2 * margin:g}, the grid has {gap:.3g}"
    if found.is_open(margin):
        return f"{said}; the grid alone leaves {max(found.below, found.above):.2g} open: more rho values would decide"
    more = found.seeds_to_decide(margin)
    needed = f"about {more} seeds" if more else f"more than {MOST_SEEDS} seeds"
    return f"{said}; {needed} would decide"


def _data(one: Measured) -> str:
    binarise = one.curve["binarise"]
    return one.curve.name + ("" if binarise == "static" else f" ({binarise})")
