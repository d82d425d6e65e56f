"""A mean over seeds with its t interval."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import t as student

COVERAGE = 0.9
LEAST_SEEDS = 3  # that an interval is given for


def t_quantile(coverage: float, seeds: int) -> float:
    """Return by how many standard errors a two-sided interval for a mean over that many seeds reaches."""
    return float(student.ppf(0.5 + coverage / 2, seeds - 1))


def seed_interval(values: Iterable[float], coverage: float = COVERAGE) -> tuple[float, float, float]:
    """Return mean, low and high of values of single seeds (NaN: missing); no interval for fewer than three."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return math.nan, math.nan, math.nan
    mean = float(known.mean())
    if len(known) < LEAST_SEEDS:
        return mean, math.nan, math.nan
    half = t_quantile(coverage, len(known)) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return mean, mean - half, mean + half
