"""A curve: the cells that differ in nothing but rho and seed.

Everything else that can change a cell's numbers is part of the curve's key, so no line ever joins two experiments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from hvae_core.data import is_null
from hvae_core.families.base import Family
from hvae_core.families.registry import recorded_model
from sweeps.grid.declared import SETTINGS as DECLARED
from sweeps.grid.declared import names

DATA = names("data")
MODEL = names("model")
SETTINGS = tuple(name for name in names("objective", "train") if name != "rho")
CURVE = (*DATA, *MODEL, *SETTINGS)
DEFAULTS: dict[str, Any] = {
    setting.name: setting.default
    for setting in DECLARED
    if setting.name in CURVE and setting.label is not None and setting.legend == "unusual"
}
"""What a legend does not name unless it is something else, or differs between curves."""


@dataclass(frozen=True)
class Curve:
    """Cells of one curve. `key` holds the values of the CURVE columns, with None for a missing one."""

    key: tuple[Any, ...]
    rows: pd.DataFrame

    def __getitem__(self, name: str) -> Any:
        return self.key[CURVE.index(name)]

    @property
    def declared(self) -> dict[str, Any]:
        """The CURVE columns, by name."""
        return dict(zip(CURVE, self.key, strict=True))

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Rows of cells that have results."""
        return self.rows[self.rows["state"] == "complete"]

    @property
    def data(self) -> tuple[Any, ...]:
        """What tells its data from that of other curves: dataset, source, checksum, binarisation."""
        return tuple(self[name] for name in DATA)

    @property
    def variant(self) -> tuple[Any, ...]:
        """What tells it from other curves of the same data and model."""
        return tuple(self[name] for name in SETTINGS)

    @property
    def name(self) -> str:
        """`dataset:source`."""
        return f"{self['dataset']}:{self['source']}"

    @property
    def is_null(self) -> bool:
        """Whether its data are the null of a data set."""
        return is_null(str(self["dataset"]))

    @property
    def content(self) -> str:
        """Start of the checksum: a name can be given to other data, this cannot."""
        return str(self["checksum"][:8])

    @property
    def top_width(self) -> int:
        """Units D of the top layer."""
        return self.model.units[-1]

    @cached_property
    def model(self) -> Family:
        """Its architecture; nothing of a user's own is imported for it."""
        return recorded_model(*(self[name] for name in MODEL))

    @cached_property
    def seeds(self) -> str:
        """How many seeds are complete, over rho: `1 seed`, `3 seeds`, `1-3 seeds` where it varies."""
        counts = self.complete.groupby("rho")["seed"].nunique()
        if counts.empty:
            return "no complete seed"
        low, high = int(counts.min()), int(counts.max())
        return f"{high} seed{'s' if high > 1 else ''}" if low == high else f"{low}–{high} seeds"

    @cached_property
    def devices(self) -> list[str]:
        """Devices that its complete cells were trained on; numbers of several agree within rounding only."""
        return sorted({str(device) for device in self.complete["device"].dropna()})

    @cached_property
    def kl_weight(self) -> float:
        """KL weight that annealing had reached when training ended; 1 where nothing says otherwise."""
        known = self.rows["kl_weight"].dropna().to_list() if "kl_weight" in self.rows else []
        return float(min(known, default=1.0))

    @property
    def unfinished(self) -> str:
        """The KL weight in three digits, rounded down so that it never reads 1, if annealing did not finish."""
        return f"{math.floor(1000 * self.kl_weight) / 1000:g}" if self.kl_weight < 1 else ""


def curves(frame: pd.DataFrame) -> list[Curve]:
    """Split a tidy frame into its curves, in the order of their first rows.

    A setting that came later, and that a frame has no column of, has its default in every row.
    """
    later = {setting.name: setting.default for setting in DECLARED if not setting.always_hashed}
    frame = frame.assign(**{name: default for name, default in later.items() if name not in frame})
    groups = frame.groupby(list(CURVE), dropna=False, sort=False)
    return [Curve(tuple(map(_known, key)), rows) for key, rows in groups]


def _known(value: Any) -> Any:
    return None if pd.isna(value) else value
