r"""Where, how sharply and how surely the top layer collapses.

For one curve of cells (everything but rho and seed alike) let m(rho) be the median over seeds of the top KL, linear
between neighbouring rho values:

    plateau   = max m(rho)                                                            nats
    rho_half  = the largest rho at which m falls through plateau / 2
    residue   = the least m(rho) beyond rho_half                                      nats
    rho_c     = where the line through the next falls of m, to 60 % and to 20 % of the way from the residue up to
                plateau / 2, reaches the residue: the onset, at which the top layer starts to be used
    steepness = slope of that line                                                    nats per 0.01 of rho
    width     = rho of the last fall through 10 % of the plateau - rho of the last fall through 90 %
    c(rho,K)  = rho^2 (1 - 1/K) + 1/K          retained degree-1 variance of a K-sample average

The transition is continuous where it can be solved: below rho_c the KL rises linearly from nothing. The onset is
therefore the critical value, and is found to 0.005 on that control; half height is off there by more than 0.1.

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

from analysis.frames.baseline import below_baseline
from analysis.frames.curves import CURVE, Curve, curves
from hvae_core.spec import retained_variance

Floats: TypeAlias = NDArray[np.float64]

TRANSITION = "transition"
RETURNS = "transition, but above half again at the largest rho"
NO_COLLAPSE = "no collapse in this grid"
PARTIAL = "falls without collapsing in this grid"
COLLAPSED = "below 1 nat everywhere"
TOO_FEW = "too few rho values"
UNTRAINED = "worse than independent pixels at every rho"

NUMBERS = (
    *("rho_critical", "bracket_low", "bracket_high", "interval_low", "interval_high", "crossing_share"),
    *("rho_half", "steepness", "width_10_90", "c_critical"),
)
COLUMNS = (*CURVE, "n_rho", "n_seeds", "plateau", *NUMBERS, "verdict")


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
class Fall:
    """The last fall of a curve through a level: where, and the foot on which it ends.

    left is the index of the grid point left of the foot's upper point; the rest is in rho and nats per unit of rho.
    """

    half: float
    onset: float
    left: int
    slope: float
    residue: float

    @classmethod
    def of(cls, rho: Floats, values: Floats, level: float, foot: tuple[float, float]) -> Fall | None:
        """Find the fall through `level`; None if the values, of rho (R,) ascending, never fall below it for good."""
        last = last_fall(rho, values, level)
        if last is None:
            return None
        i, half = last
        beyond = np.concatenate([[half], rho[i + 1 :]])
        heights = np.concatenate([[level], values[i + 1 :]])
        residue = float(heights.min())
        levels = [residue + share * (level - residue) for share in foot]
        upper, lower = (_first_below(beyond, heights, height) for height in levels)
        slope = (levels[0] - levels[1]) / (lower - upper) if lower > upper else math.inf
        onset = lower + (levels[1] - residue) / slope
        return cls(half, min(onset, float(rho[-1])), int(np.searchsorted(rho, upper, "right")) - 1, slope, residue)


def _first_below(rho: Floats, values: Floats, level: float) -> float:
    """First rho at which piecewise-linear values, which start above the level, reach it."""
    i = int(np.argmax(values <= level))
    if i == 0:
        return float(rho[0])
    share = (values[i - 1] - level) / (values[i - 1] - values[i])
    return float(rho[i - 1] + share * (rho[i] - rho[i - 1]))


@dataclass(frozen=True)
class CriticalRho:
    """Tidy frame -> one row per curve: the critical rho, its uncertainty, and a verdict in words.

    level: share of the plateau through which the fall is looked for.
    gone: largest residue, as a share of the plateau, of a layer that has collapsed.
    foot: heights, as shares of the way from the residue to the level, of the line that is extended to the residue.
    edges: shares of the plateau between which the width is taken.
    floor: plateau in nats below which the top layer never was in use.
    least_rhos, least_seeds: fewest rho values for a crossing, fewest seeds for an interval.
    resamples, coverage, seed: of the percentile bootstrap. Whole seeds are resampled, jointly over rho, because
    cells of one seed share their noise across rho. `crossing_share` is the share of resamples that collapse in this
    grid by the rule that the verdict follows; the interval is over those. With few seeds it is coarse (3 seeds give
    10 distinct resamples) and tends to be too narrow. With fewer than `least_seeds` only the grid bounds rho_c: from
    the rho value left of the foot's upper point (bracket_low) to the first one at or beyond rho_c (bracket_high).
    """

    level: float = 0.5
    gone: float = 0.1
    foot: tuple[float, float] = (0.6, 0.2)
    edges: tuple[float, float] = (0.9, 0.1)
    floor: float = 1.0
    least_rhos: int = 3
    least_seeds: int = 3
    resamples: int = 2000
    coverage: float = 0.95
    seed: int = 0

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return one row (COLUMNS) per curve that has complete cells; plateau in nats, the rest in units of rho.

        Nothing is read from cells that are worse than independent pixels.
        """
        complete = frame[frame["state"] == "complete"]
        return pd.DataFrame([self._row(curve) for curve in curves(complete)], columns=list(COLUMNS))

    def _row(self, curve: Curve) -> dict[str, Any]:
        trained = curve.rows[~below_baseline(curve.rows)]
        if trained.empty:
            empty = {"n_rho": 0, "n_seeds": 0, "plateau": math.nan, **dict.fromkeys(NUMBERS, math.nan)}
            return {**curve.declared, **empty, "verdict": UNTRAINED}
        table = trained.pivot(index="seed", columns="rho", values="kl_top").sort_index().sort_index(axis=1)
        rho, by_seed = table.columns.to_numpy(dtype=float), table.to_numpy(dtype=float)  # (R,), (S, R)
        median = _median(by_seed)
        row = {**curve.declared, "n_rho": len(rho), "n_seeds": len(by_seed), "plateau": float(median.max())}
        verdict, fall = self._judge(rho, median)
        row |= dict.fromkeys(NUMBERS, math.nan) | {"verdict": verdict}
        if fall is None:
            return row
        row |= {"rho_critical": fall.onset, "rho_half": fall.half, "steepness": 0.01 * fall.slope}
        row |= {"bracket_low": float(rho[fall.left]), "bracket_high": float(rho[rho >= fall.onset][0])}
        edges = [last_fall(rho, median, share * float(median.max())) for share in self.edges]
        if edges[0] and edges[1] and edges[1][1] > edges[0][1]:
            row["width_10_90"] = edges[1][1] - edges[0][1]
        if len(by_seed) >= self.least_seeds:
            row["interval_low"], row["interval_high"], row["crossing_share"] = self._interval(rho, by_seed)
        row["c_critical"] = retained_variance(fall.onset, curve["ou_samples"])
        return row

    def _judge(self, rho: Floats, median: Floats) -> tuple[str, Fall | None]:
        """Say in words what a curve (R,) does, and how it falls where it collapses; None where it does not."""
        if len(rho) < self.least_rhos:
            return TOO_FEW, None
        plateau = float(median.max())
        if plateau < self.floor:
            return COLLAPSED, None
        fall = Fall.of(rho, median, self.level * plateau, self.foot)
        if fall is None or not math.isfinite(fall.onset):  # a KL near the largest float has no slope
            return NO_COLLAPSE, None
        if fall.residue > self.gone * plateau:
            return PARTIAL, None
        return RETURNS if median[-1] >= self.level * plateau else TRANSITION, fall

    def _interval(self, rho: Floats, by_seed: Floats) -> tuple[float, float, float]:
        """Percentile interval of the critical rho over resampled seeds, and the share of resamples that have one."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        drawn = np.sort(generator.integers(0, len(by_seed), (self.resamples, len(by_seed))), axis=1)
        distinct, counts = np.unique(drawn, axis=0, return_counts=True)
        found = []
        for members in distinct:
            median = _median(by_seed[members])
            known = ~np.isnan(median)
            _, fall = self._judge(rho[known], median[known])
            found.append(math.nan if fall is None else fall.onset)
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
