"""A mean over seeds with its t interval."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import t as student

COVERAGE = 0.9


def seed_interval(values: Iterable[float], coverage: float = COVERAGE) -> tuple[float, float, float]:
    """Return mean, low and high of values of single seeds (NaN: missing); no interval for fewer than three."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return math.nan, math.nan, math.nan
    mean = float(known.mean())
    if len(known) < 3:
        return mean, math.nan, math.nan
    half = float(student.ppf(0.5 + coverage / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return mean, mean - half, mean + half
