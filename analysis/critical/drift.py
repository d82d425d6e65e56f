r"""How the fall moves while training goes on, from histories.

    x(T)          crossing of 0.05 nats per unit after T steps, seed by seed, for T = the steps and halves of it
    2 x(T) - x(T/2)   where it goes if it moves as 1/T
    s(T)          rounding of the kink after T steps: s T constant over three doublings is what a transition shows
    exponent      log2 of KL(T) / KL(T/2) at each rho: 0 where training has settled

Between evaluations a history is taken to be linear. Numbers are of validation images, the unsmoothed model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.kink import Floats
from analysis.critical.rule import Estimate, estimate
from analysis.critical.seed_interval import seed_interval
from analysis.frames.curves import CURVE, Curve, curves

HALVINGS = 3
SETTLED = 0.1  # largest exponent of what has settled
LEAST_KL = 0.005  # nats per unit: below it a ratio is one of noise
STEADY = 1.25  # the roundings that are tried are about that far apart

AT_STEP = ("crossing", "crossing_low", "crossing_high", "extrapolated", "extrapolated_low", "extrapolated_high")
COLUMNS = (*CURVE, "step", "n_rho", "n_seeds", *AT_STEP, "rounding", "widest", "rounding_steps", "verdict")
EXPONENTS = (*CURVE, "rho", "exponent", "exponent_low", "exponent_high", "kl_per_unit", "drifting")


def drift_tables(frame: pd.DataFrame, histories: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one row (COLUMNS) per curve and step T, and one (EXPONENTS) per curve and rho.

    `histories` holds step and kl_top by cell id. A curve whose histories do not reach back to half of its steps has
    no row.
    """
    rows: list[dict[str, Any]] = []
    exponents: list[dict[str, Any]] = []
    for curve in curves(frame[frame["state"] == "complete"]):
        steps = _steps(curve, histories)
        if len(steps) < 2:
            continue
        at = {step: _kl_at(curve, histories, step) for step in steps}
        own = _exponents(curve, at[steps[-2]], at[steps[-1]])
        rows += _rows(curve, at, own)
        exponents += own
    return pd.DataFrame(rows, columns=list(COLUMNS)), pd.DataFrame(exponents, columns=list(EXPONENTS))


def _steps(curve: Curve, histories: Mapping[str, pd.DataFrame]) -> list[int]:
    """Halves of the curve's steps that all of its histories hold, ascending."""
    found = [histories.get(cell_id) for cell_id in curve.rows["cell_id"]]
    known = [history for history in found if history is not None and len(history)]
    if len(known) < len(found) or not known:
        return []
    first = max(int(history["step"].iloc[0]) for history in known)
    last = min(int(history["step"].iloc[-1]) for history in known)
    halves = [curve["steps"] >> k for k in range(HALVINGS + 1)]
    return sorted(step for step in set(halves) if first <= step <= last)


def _kl_at(curve: Curve, histories: Mapping[str, pd.DataFrame], step: int) -> pd.DataFrame:
    """Top KL (nats) at a step: a row for each seed, a column for each rho."""
    values = [
        float(np.interp(step, histories[cell_id]["step"], histories[cell_id]["kl_top"]))
        for cell_id in curve.rows["cell_id"]
    ]
    table = curve.rows.assign(kl_at=values).pivot(index="seed", columns="rho", values="kl_at")
    return table.sort_index().sort_index(axis=1)


def _rows(curve: Curve, at: Mapping[int, pd.DataFrame], exponents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows, before, products = [], None, []
    for step, table in at.items():
        rho = table.columns.to_numpy(dtype=float)
        found = estimate(rho, table.to_numpy(dtype=float), curve.top_width)
        products.append((found.rounding * step, found.widest * step))
        row: dict[str, Any] = {**curve.declared, "step": step, "n_rho": len(rho), "n_seeds": len(table)}
        row |= zip(AT_STEP[:3], seed_interval(found.crossings), strict=True)
        if before is not None:
            ahead = [2 * now - then for now, then in zip(found.crossings, before.crossings, strict=True)]
            row |= zip(AT_STEP[3:], seed_interval(ahead), strict=True)
        row |= {"rounding": found.rounding, "widest": found.widest, "rounding_steps": found.rounding * step}
        rows.append(row)
        before = found
    rows[-1]["verdict"] = _verdict(curve, estimates=found, exponents=exponents, products=products)
    return rows


def _verdict(
    curve: Curve, estimates: Estimate, exponents: Sequence[Mapping[str, Any]], products: Sequence[tuple[float, float]]
) -> str:
    drifting = [row["rho"] for row in exponents if row["drifting"]]
    where = (
        f"rho {min(drifting):g} to {max(drifting):g}"
        if len(set(drifting)) > 1
        else f"rho {drifting[0]:g}"
        if drifting
        else ""
    )
    said = [f"at {curve['steps']:,} steps, still drifting at {where}" if drifting else "settled at every rho"]
    least, most = (np.array(end) for end in zip(*products, strict=True))
    if len(products) > HALVINGS and not np.isnan(least).any() and least.max() > 0:
        constant = least.max() <= STEADY * most.min()
        what = "proportional to 1 / steps over three doublings"
        said.append(f"rounding {what}, as at a transition" if constant else f"rounding not {what}")
    return "; ".join(said)


def _exponents(curve: Curve, before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, Any]]:
    """log2 KL(T) / KL(T/2) at each rho of the range in which the layer comes out of use."""
    rows = []
    for rho in after.columns:
        then, now = before[rho].to_numpy(dtype=float), after[rho].to_numpy(dtype=float)
        per_unit = float(np.nanmedian(now)) / curve.top_width
        mean, low, high = seed_interval(_log_ratio(then, now))
        drifting = per_unit >= LEAST_KL and abs(mean) > SETTLED
        row = {**curve.declared, "rho": float(rho), "exponent": mean, "exponent_low": low, "exponent_high": high}
        rows.append({**row, "kl_per_unit": per_unit, "drifting": drifting})
    return rows


def _log_ratio(then: Floats, now: Floats) -> list[float]:
    pairs = zip(then, now, strict=True)
    return [math.log2(b / a) if a > 0 and b > 0 else math.nan for a, b in pairs]
