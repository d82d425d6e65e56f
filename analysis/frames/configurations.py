"""A configuration: the cells that differ in nothing but the seed, and what it is called.

Its name in words is `analysis.words.methods`'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames.curves import MODEL, Curve, curves
from sweeps.grid.declared import binarised


@dataclass(frozen=True)
class Configuration:
    """One rho of a curve: `curve` holds the rows of that rho alone, one per seed."""

    curve: Curve
    rho: float

    def __getitem__(self, name: str) -> Any:
        return self.curve[name]

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything but the seed that can change a number."""
        return (*self.curve.key, self.rho)

    @property
    def variant(self) -> tuple[Any, ...]:
        """What tells it from others of the same data and model."""
        return (*self.curve.variant, self.rho)

    @property
    def group(self) -> tuple[Any, ...]:
        """Its data and model."""
        return (*self.curve.data, *(self[name] for name in MODEL))

    @property
    def title(self) -> str:
        """Its data and model in words."""
        return f"{self.curve.name} {self.curve.content}, {binarised(self['binarise'])}, {self['model']}"

    @property
    def rows(self) -> pd.DataFrame:
        """Its cells."""
        return self.curve.rows

    @property
    def smoothed(self) -> bool:
        """Whether rho < 1: only then do K and the form of smoothing mean anything."""
        return self.rho < 1


def configurations(frame: pd.DataFrame) -> list[Configuration]:
    """Split a tidy frame: by data and model as they come, then unsmoothed before smoothed ones, and falling rho."""
    found = [
        Configuration(Curve(curve.key, rows), float(rows["rho"].iloc[0]))
        for curve in curves(frame)
        for _, rows in curve.rows.groupby("rho", sort=False)
    ]
    groups = _positions(each.group for each in found)
    variants = _positions(each.curve.variant for each in found)
    return sorted(found, key=lambda c: (groups[c.group], c.smoothed, variants[c.curve.variant], -c.rho))


def _positions(keys: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    return {key: i for i, key in enumerate(dict.fromkeys(keys))}
