"""A curve: the cells that differ in nothing but rho and seed.

Everything else that can change a cell's numbers is part of the curve's key, so no line ever joins two experiments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hvae_core.families.registry import recorded_model

DATA = ("dataset", "source", "checksum", "binarise")
SETTINGS = (
    *("ou_samples", "smoothing", "beta_top", "kl_anneal", "free_bits", "iwae_k"),
    *("steps", "batch_size", "lr", "precision"),
)
CURVE = (*DATA, "model", *SETTINGS)

ALWAYS_SAID = ("ou_samples", "steps", "seeds")
DEFAULTS: dict[str, Any] = {
    "binarise": "static",
    "smoothing": "mean_std",
    "beta_top": 1.0,
    "kl_anneal": None,
    "free_bits": None,
    "iwae_k": 1,
    "precision": "float32",
}


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

    @property
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
    def content(self) -> str:
        """Start of the checksum: a name can be given to other data, this cannot."""
        return str(self["checksum"][:8])

    @property
    def top_width(self) -> int:
        """Units D of the top layer."""
        return recorded_model(self["model"], None, None).units[-1]

    @property
    def seeds(self) -> str:
        """How many seeds are complete, over rho: `1 seed`, `3 seeds`, `1-3 seeds` where it varies."""
        counts = self.complete.groupby("rho")["seed"].nunique()
        if counts.empty:
            return "no complete seed"
        low, high = int(counts.min()), int(counts.max())
        return f"{high} seed{'s' if high > 1 else ''}" if low == high else f"{low}–{high} seeds"

    @property
    def devices(self) -> list[str]:
        """Devices that its complete cells were trained on; numbers of several agree within rounding only."""
        return sorted({str(device) for device in self.complete["device"].dropna()})

    @property
    def kl_weight(self) -> float:
        """KL weight that annealing had reached when training ended; 1 where nothing says otherwise."""
        known = self.rows["kl_weight"].dropna().to_list() if "kl_weight" in self.rows else []
        return float(min(known, default=1.0))

    @property
    def unfinished(self) -> str:
        """The KL weight in three digits, rounded down so that it never reads 1, if annealing did not finish."""
        return f"{math.floor(1000 * self.kl_weight) / 1000:g}" if self.kl_weight < 1 else ""


def curves(frame: pd.DataFrame) -> list[Curve]:
    """Split a tidy frame into its curves, in the order of their first rows."""
    groups = frame.groupby(list(CURVE), dropna=False, sort=False)
    return [Curve(tuple(map(_known, key)), rows) for key, rows in groups]


def settings(curve: Curve) -> dict[str, str]:
    """Say each setting of a curve in a few words, in the order in which a legend names them."""
    anneal, bits, beta = curve["kl_anneal"], curve["free_bits"], curve["beta_top"]
    return {
        "binarise": f"{curve['binarise']} binarisation",
        "ou_samples": f"K = {curve['ou_samples']}",
        "smoothing": f"smoothing {curve['smoothing']}",
        "beta_top": "matched β_top, unsmoothed" if beta is None else f"β_top = {beta:g}",
        "kl_anneal": "no KL annealing" if anneal is None else f"KL annealing {anneal}",
        "free_bits": "no free bits" if bits is None else f"free bits {bits:g} nat{'s' * (bits != 1)}",
        "iwae_k": f"IWAE k = {curve['iwae_k']}",
        "steps": f"{curve['steps']:,} steps",
        "batch_size": f"batch {curve['batch_size']}",
        "lr": f"lr {curve['lr']:g}",
        "precision": str(curve["precision"]),
        "seeds": curve.seeds,
    }


def curves_in_words(group: Sequence[Curve]) -> tuple[list[str], list[list[str]]]:
    """Return what the curves of a panel have in common, and what each has of its own.

    K, steps and seeds are always said; other settings where they differ between the curves or are not the default.
    Devices mixed within one curve are flagged: they agree within rounding only. Beside a matched-beta curve, which is
    of unsmoothed models, the others are called smoothed.
    """
    said = [settings(curve) for curve in group]
    if any(curve["beta_top"] is None for curve in group):
        said = [each | _beside_matched(curve) for curve, each in zip(group, said, strict=True)]
    names = list(said[0])
    differing = [name for name in names if len({each[name] for each in said}) > 1]
    first = group[0].declared
    unusual = [name for name, default in DEFAULTS.items() if first[name] != default]
    shared = _words(said[0], [n for n in names if n not in differing and n in (*ALWAYS_SAID, *unusual)])
    own = [
        [curve.name, curve.content, *_words(each, differing), *_mixed(curve)]
        for curve, each in zip(group, said, strict=True)
    ]
    return shared, own


def annealing_in_words(group: Sequence[Curve]) -> list[str]:
    """Say the least KL weight that annealing ended at, if that of any curve did not finish."""
    least = min((curve.unfinished for curve in group if curve.unfinished), default="")
    return ["annealing not finished", f"KL weight ends at {least}"] if least else []


def curve_in_words(curve: Curve) -> str:
    """Name a curve in a note: its data, its model and its settings."""
    shared, own = curves_in_words([curve])
    data, _, *rest = own[0]
    return ", ".join([data, curve["model"], *rest, *(words for words in shared if words != curve.seeds)])


def _known(value: Any) -> Any:
    return None if pd.isna(value) else value


def _words(said: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Say the named settings in words that a legend may part: at every comma."""
    return [word for name in names for word in said[name].split(", ")]


def _beside_matched(curve: Curve) -> dict[str, str]:
    beta = curve["beta_top"]
    if beta is None or not (curve.rows["rho"] < 1).any():
        return {}
    return {"beta_top": "smoothed" if beta == 1 else f"smoothed, β_top = {beta:g}"}


def _mixed(curve: Curve) -> list[str]:
    return [f"mixed devices: {', '.join(curve.devices)}"] if len(curve.devices) > 1 else []
