r"""Where, how sharply and how surely the top layer collapses.

For one curve of cells (everything but rho and seed alike) let m(rho) be the median over seeds of the top KL:

    plateau  = max m(rho)                      nats
    rho_c    = the largest rho at which m, linear between neighbouring rho values, falls through plateau / 2
    width    = rho of the last fall through 10 % of the plateau - rho of the last fall through 90 %
    c(rho,K) = rho^2 (1 - 1/K) + 1/K           retained degree-1 variance of a K-sample average

The rule is ours: the paper shows the drop and states no rule and no value. A critical rho is defined only together
with K, the number of steps and the other training settings, which is why these are part of what makes a curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.curves import CURVE, Curve, curves

Floats: TypeAlias = NDArray[np.float64]

TRANSITION = "transition"
RETURNS = "transition, but above half again at the largest rho"
NO_COLLAPSE = "no collapse in this grid"
COLLAPSED = "collapsed everywhere"
TOO_FEW = "too few rho values"

NUMBERS = (
    *("rho_critical", "bracket_low", "bracket_high", "interval_low", "interval_high", "crossing_share"),
    *("width_10_90", "c_critical"),
)
COLUMNS = (*CURVE, "n_rho", "n_seeds", "plateau", *NUMBERS, "verdict")


def retained_variance(rho: float, ou_samples: float) -> float:
    """Degree-1 variance that an average of K correlated samples keeps, c = rho^2 (1 - 1/K) + 1/K, in [1/K, 1]."""
    return rho**2 * (1 - 1 / ou_samples) + 1 / ou_samples


def last_fall(rho: Floats, values: Floats, level: float) -> tuple[int, float] | None:
    """Find the last interval [rho[i], rho[i+1]] in which piecewise-linear values fall through a level.

    `rho` (R,) ascends. Returns i and the rho of the crossing; None if the values never fall below the level.
    """
    falls = np.flatnonzero((values[:-1] >= level) & (values[1:] < level))
    if not len(falls):
        return None
    i = int(falls[-1])
    share = (values[i] - level) / (values[i] - values[i + 1])
    return i, float(rho[i] + share * (rho[i + 1] - rho[i]))


@dataclass(frozen=True)
class CriticalRho:
    """Tidy frame -> one row per curve: the critical rho, its uncertainty, and a verdict in words.

    level: share of the plateau at which the layer counts as collapsed.
    edges: shares of the plateau between which the width is taken.
    floor: plateau in nats below which the top layer never was in use.
    least_rhos, least_seeds: fewest rho values for a crossing, fewest seeds for an interval.
    resamples, coverage, seed: of the percentile bootstrap. Whole seeds are resampled, jointly over rho, because
    cells of one seed share their noise across rho. `crossing_share` is the share of resamples that collapse in this
    grid; the interval is over those. With few seeds it is coarse (3 seeds give 10 distinct resamples) and tends to
    be too narrow. With fewer than `least_seeds` only the neighbouring grid points bound the crossing.
    """

    level: float = 0.5
    edges: tuple[float, float] = (0.9, 0.1)
    floor: float = 1.0
    least_rhos: int = 3
    least_seeds: int = 3
    resamples: int = 2000
    coverage: float = 0.95
    seed: int = 0

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return one row (COLUMNS) per curve that has complete cells; plateau in nats, the rest in units of rho."""
        complete = frame[frame["state"] == "complete"]
        return pd.DataFrame([self._row(curve) for curve in curves(complete)], columns=list(COLUMNS))

    def _row(self, curve: Curve) -> dict[str, Any]:
        table = curve.rows.pivot(index="seed", columns="rho", values="kl_top").sort_index().sort_index(axis=1)
        rho, by_seed = table.columns.to_numpy(dtype=float), table.to_numpy(dtype=float)  # (R,), (S, R)
        median = _median(by_seed)
        row = {**curve.declared, "n_rho": len(rho), "n_seeds": len(by_seed), "plateau": float(median.max())}
        row |= dict.fromkeys(NUMBERS, math.nan) | {"verdict": self._verdict(rho, median)}
        crossing = self._crossing(rho, median)
        if crossing is None or row["verdict"] not in (TRANSITION, RETURNS):
            return row
        i, critical = crossing
        falls = [last_fall(rho, median, share * median.max()) for share in self.edges]
        if falls[0] and falls[1] and falls[1][1] > falls[0][1]:
            row["width_10_90"] = falls[1][1] - falls[0][1]
        if len(by_seed) >= self.least_seeds:
            row["interval_low"], row["interval_high"], row["crossing_share"] = self._interval(rho, by_seed)
        row |= {"rho_critical": critical, "bracket_low": float(rho[i]), "bracket_high": float(rho[i + 1])}
        row["c_critical"] = retained_variance(critical, curve["ou_samples"])
        return row

    def _verdict(self, rho: Floats, median: Floats) -> str:
        if len(rho) < self.least_rhos:
            return TOO_FEW
        if median.max() < self.floor:
            return COLLAPSED
        if self._crossing(rho, median) is None:
            return NO_COLLAPSE
        return RETURNS if median[-1] >= self.level * median.max() else TRANSITION

    def _crossing(self, rho: Floats, median: Floats) -> tuple[int, float] | None:
        return last_fall(rho, median, self.level * float(median.max()))

    def _interval(self, rho: Floats, by_seed: Floats) -> tuple[float, float, float]:
        """Percentile interval of the critical rho over resampled seeds, and the share of resamples with a crossing."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        drawn = np.sort(generator.integers(0, len(by_seed), (self.resamples, len(by_seed))), axis=1)
        distinct, counts = np.unique(drawn, axis=0, return_counts=True)
        found = []
        for members in distinct:
            median = _median(by_seed[members])
            known = ~np.isnan(median)
            crossing = self._crossing(rho[known], median[known])
            found.append(math.nan if crossing is None else crossing[1])
        every = np.repeat(found, counts)
        crossed = every[~np.isnan(every)]
        if not len(crossed):
            return math.nan, math.nan, 0.0
        tail = 50 * (1 - self.coverage)
        low, high = np.percentile(crossed, [tail, 100 - tail])
        return float(low), float(high), len(crossed) / len(every)


def _median(by_seed: Floats) -> Floats:
    """Median over seeds (S, R) -> (R,) of those that are there; NaN where none is."""
    there = ~np.isnan(by_seed).all(axis=0)
    median = np.full(by_seed.shape[1], math.nan)
    median[there] = np.nanmedian(by_seed[:, there], axis=0)
    return median
