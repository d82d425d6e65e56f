"""From where to where a critical rho is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def critical_extent(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the ends of a row of `critical_table`: of its interval, its bracket, or its crossover; None without.

    A crossover is as wide as the curve allows, or where it allows any width, as the least. A top layer that is inactive
    at every rho has none, whatever its KL does.
    """
    if row["active_most"] == 0:
        return None
    if "extent_low" in row:  # on the c axis
        low, high = row["extent_low"], row["extent_high"]
    elif row["kind"] == "bracket":
        low, high = row["grid_low"], row["grid_high"]
    elif row["kind"] == "crossover":
        middle, half = row["rho_crossing"], row["rounding" if math.isinf(row["widest"]) else "widest"] / 2
        low, high = (math.nan, math.nan) if math.isnan(middle) else (max(middle - half, 0.0), min(middle + half, 1.0))
    else:
        low, high = row["interval90_low"], row["interval90_high"]
    return None if math.isnan(low) else (low, high)


def critical_height(row: Mapping[str, Any], place: int) -> float:
    """Return the height, in nats, at which the extent of the curve in this place is drawn: half the plateau, or lower.

    Those of further curves stand lower, so that extents that overlap are all seen.
    """
    height: float = row["plateau"] / 2 * (1 - 0.12 * (place % 6))
    return height
