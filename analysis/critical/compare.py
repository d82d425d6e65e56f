r"""Is it the same on two data sets? A paired test of the difference, and one of equivalence.

    d_s = rho_c of seed s on A - on B,   SE^2 = max(variance of d, mean(v_A + v_B)) / S,   v the profiles' variances

    differs            the 95 % t interval of d excludes 0
    same within delta  the 90 % t interval lies inside +-delta (two one-sided tests); delta is no less than half a gap

Paired, as seeds share their noise over data sets. Curves that differ in data alone are compared, on the seeds and rho
values that both have; where neither has a critical rho, the crossing of 0.05 nats per unit stands for it.

References
----------
Schuirmann, A comparison of the two one-sided tests procedure and the power approach, 1987.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.kink import LEAST_POINTS, Floats
from analysis.critical.rule import Estimate, estimate
from analysis.critical.seed_interval import LEAST_SEEDS, t_quantile
from analysis.critical.table import Measured
from analysis.frames.curves import CURVE, DATA, curves

MARGIN = 0.02
MOST_SEEDS = 200

SHARED = tuple(name for name in CURVE if name not in DATA)
NUMBERS = ("difference", "low95", "high95", "low90", "high90", "margin", "largest_kl_per_unit", "at_rho")
COLUMNS = (*SHARED, "data_a", "data_b", "n_seeds", "n_rho", "quantity", *NUMBERS, "seeds_to_decide", "verdict")


@dataclass(frozen=True)
class Difference:
    """A paired difference in rho: its mean, standard error, and the seeds that it is of."""

    mean: float
    error: float
    seeds: int

    @classmethod
    def of(cls, first: Sequence[float], second: Sequence[float], variances: Floats) -> Difference:
        """Pair the values of two curves by seed; variances (S,) are the sums of what single values are known to."""
        d = np.array(first) - np.array(second)
        known = ~np.isnan(d)
        d, own = d[known], variances[known]
        if len(d) < 2:
            return cls(math.nan, math.nan, len(d))
        return cls(float(d.mean()), math.sqrt(max(float(d.var(ddof=1)), float(own.mean())) / len(d)), len(d))

    def interval(self, coverage: float) -> tuple[float, float]:
        """Return the ends of a t interval."""
        half = self._half(coverage, self.seeds)
        return self.mean - half, self.mean + half

    def _half(self, coverage: float, seeds: int) -> float:
        spread = self.error * math.sqrt(self.seeds)
        return t_quantile(coverage, seeds) * spread / math.sqrt(seeds)

    def differs(self) -> bool:
        """Whether the 95 % interval excludes 0."""
        low, high = self.interval(0.95)
        return low > 0 or high < 0

    def same(self, margin: float) -> bool:
        """Whether the 90 % interval lies inside +-margin."""
        low, high = self.interval(0.9)
        return -margin < low and high < margin

    def seeds_to_decide(self, margin: float) -> int | None:
        """Fewest seeds that decide, if mean and spread stay as they are; None for more than 200."""
        for seeds in range(self.seeds + 1, MOST_SEEDS + 1):
            if self._half(0.95, seeds) < abs(self.mean) or self._half(0.9, seeds) < margin - abs(self.mean):
                return seeds
        return None


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
    quantity, found, gap = _difference(first, second)
    row["quantity"] = quantity
    if found is None or found.seeds < LEAST_SEEDS:
        return {**row, "verdict": f"not compared: {quantity or 'one of the curves has no critical rho'}"}
    (low95, high95), (low90, high90) = found.interval(0.95), found.interval(0.9)
    row |= {"difference": found.mean, "low95": low95, "high95": high95, "low90": low90, "high90": high90}
    decided = found.differs() or (found.same(margin) and margin >= gap / 2)
    row["seeds_to_decide"] = pd.NA if decided else found.seeds_to_decide(margin) or pd.NA
    return {**row, "verdict": verdict(found, margin, gap)}


def _difference(first: Estimate, second: Estimate) -> tuple[str, Difference | None, float]:
    """Pair what both curves have: critical rhos, or crossings; and the grid's gap there."""
    gap = float(np.nanmax([first.gap, second.gap, 0.0]))
    if first.has_value and second.has_value:
        own = np.array(first.variances) + np.array(second.variances)
        return "critical rho", Difference.of(first.by_seed, second.by_seed, own), gap
    if not (first.has_value or second.has_value):
        none = np.zeros(len(first.crossings))
        if none.size and not np.isnan([first.crossing, second.crossing]).any():
            return "crossing of 0.05 nats per unit", Difference.of(first.crossings, second.crossings, none), gap
        return "neither curve crosses 0.05 nats per unit", None, gap
    return "", None, gap


def verdict(found: Difference, margin: float, gap: float) -> str:
    """Say what a difference means, and what would decide it."""
    same = found.same(margin) and margin >= gap / 2
    if found.differs():
        within = f", by less than {margin:g}" if same else ""
        return f"differs by {abs(found.mean):.4f}{within}"
    if same:
        return f"same within {margin:g}"
    low, high = found.interval(0.95)
    said = f"no difference found (resolution +-{(high - low) / 2:.4f})"
    if margin < gap / 2:
        return f"{said}; a margin of {margin:g} needs gaps of at most {2 * margin:g}, the grid has {gap:.3g}"
    more = found.seeds_to_decide(margin)
    needed = f"about {more} seeds" if more else f"more than {MOST_SEEDS} seeds"
    return f"{said}; {needed} would decide"


def _data(one: Measured) -> str:
    binarise = one.curve["binarise"]
    return one.curve.name + ("" if binarise == "static" else f" ({binarise})")
