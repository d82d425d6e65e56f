"""Bits per dimension, as log-likelihoods of grey and colour images are quoted: -nats / (C H W log 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

BITS = "bits_per_dim"  # the column of the ELBO's, and a part of the names of others


def bits_per_nat(rows: pd.DataFrame) -> float:
    """Return what nats of a data set are multiplied by, from the cells that have both; NaN where pixels are bits."""
    if BITS not in rows:
        return math.nan
    both = rows[["elbo", BITS]].dropna().astype("float64")
    return float(both[BITS].iloc[0] / both["elbo"].iloc[0]) if len(both) else math.nan


def with_bounds_in_bits(cell: Mapping[str, Any], bounds: list[str]) -> dict[str, Any]:
    """Return a cell with <bound>_bits_per_dim beside each of its bounds, where it has bits."""
    bits = cell.get(BITS)
    if bits is None or pd.isna(bits):
        return dict(cell)
    per_nat = float(bits) / float(cell["elbo"])
    return {**cell, **{f"{name}_{BITS}": per_nat * float(cell[name]) for name in bounds if pd.notna(cell[name])}}
