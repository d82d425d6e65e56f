"""Tidy frame -> one row per curve: its critical rho with an interval, or in words why there is none.

A critical rho is defined only together with K, the number of steps and the other training settings, which is why these
are part of what makes a curve. What the columns mean stands in `rule` and in the reference of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.kink import Floats
from analysis.critical.rule import Estimate, estimate, in_words
from analysis.critical.seed_interval import LEAST_SEEDS
from analysis.frames.baseline import below_baseline
from analysis.frames.curves import CURVE, Curve, curves
from hvae_core.spec import retained_variance

NUMBERS = (
    *("rho_critical", "interval90_low", "interval90_high", "grid_low", "grid_high", "c_critical", "rounding", "widest"),
    *("resolution", "rho_crossing", "plateau", "residue", "active_most", "active_last"),
)
COLUMNS = (*CURVE, "n_rho", "n_seeds", *NUMBERS, "kind", "verdict", "seeds_apart")


@dataclass(frozen=True)
class Measured:
    """One curve's top KL, by_seed (S, R) in nats at rho (R,), without cells that are worse than independent pixels.

    active_most: the most active top units of any model, of those left out as well; active_last: at the largest rho, of
    the median over seeds.
    """

    curve: Curve
    rho: Floats
    by_seed: Floats
    seeds: tuple[int, ...]
    active_most: float
    active_last: float

    @classmethod
    def of(cls, curve: Curve) -> Measured:
        """Read a curve that has complete cells."""
        trained = curve.rows[~below_baseline(curve.rows)]
        table = trained.pivot(index="seed", columns="rho", values="kl_top").sort_index().sort_index(axis=1)
        active = trained.groupby("rho")["au_top"].median().dropna()
        last, most = float(active.iloc[-1]) if len(active) else math.nan, curve.complete["au_top"].max()
        rho, by_seed = table.columns.to_numpy(dtype=float), table.to_numpy(dtype=float)
        return cls(curve, rho, by_seed, tuple(map(int, table.index)), math.nan if pd.isna(most) else float(most), last)

    @property
    def units(self) -> int:
        """Units of the top layer."""
        return self.curve.top_width

    @property
    def median(self) -> Floats:
        """Median over seeds (R,)."""
        median: Floats = np.nanmedian(self.by_seed, axis=0)
        return median

    def estimate(self) -> Estimate:
        """Judge it."""
        if not len(self.rho):
            return Estimate("untrained")
        return estimate(self.rho, self.by_seed, self.units)


def critical_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (COLUMNS) per curve that has complete cells; KL in nats, widths in units of rho."""
    complete = frame[frame["state"] == "complete"]
    rows = [critical_row(Measured.of(curve)) for curve in curves(complete)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def critical_row(measured: Measured) -> dict[str, Any]:
    """Return the row of one curve."""
    found, curve = measured.estimate(), measured.curve
    some = len(measured.rho) > 0
    row = {**curve.declared, "n_rho": len(measured.rho), "n_seeds": len(measured.seeds)}
    row |= {"rho_critical": found.rho, "interval90_low": found.low, "interval90_high": found.high}
    row |= {"grid_low": found.bracket[0], "grid_high": found.bracket[1]}
    row |= {"c_critical": retained_variance(found.rho, curve["ou_samples"])}
    row |= {"rounding": found.rounding, "widest": found.limit}
    row |= {"resolution": found.gap, "rho_crossing": found.crossing}
    row |= {"plateau": float(measured.median.max()) if some else math.nan}
    row |= {"residue": float(measured.median[-1]) if some else math.nan}
    row |= {"active_most": measured.active_most, "active_last": measured.active_last}
    apart = [measured.seeds[i] for i in found.apart]
    return {**row, "kind": found.kind, "verdict": verdict(measured, found), "seeds_apart": " ".join(map(str, apart))}


def verdict(measured: Measured, found: Estimate) -> str:
    """Say what is known of a curve, with the active units that a KL alone does not show."""
    said = [in_words(found, measured.units, measured.curve["steps"])]
    if found.kind == "bracket" and len(measured.seeds) >= LEAST_SEEDS:
        said.append("so far fewer have enough values of rho")
    if measured.active_most == 0:
        said.append("top layer inactive at every rho: no unit is active, its KL may be passed-on sampling noise")
    elif measured.active_last > 0 and found.kind in ("kink", "undecided", "jump", "crossover", "bracket"):
        units, last = measured.units, measured.rho[-1]
        said.append(f"{measured.active_last:g} of {units} units still active at rho = {last:g}")
    return "; ".join(said)
