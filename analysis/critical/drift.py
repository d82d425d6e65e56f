r"""How the fall moves while training goes on, from histories.

    x(T)          crossing of 0.05 nats per unit after T steps, seed by seed, for T = the steps and halves of it
    2 x(T) - x(T/2)   where it goes if it moves as 1/T

A crossing may lie anywhere between the two values of the grid around it, so its interval is never less than that gap,
nor than the 90 % interval over three seeds or more; that of 2 x(T) - x(T/2) follows from the ends of both, within
[0, 1]. Only rho that all seeds have count, without seeds that have next to none yet. There is no crossing over a gap
above 0.05, nor where some seed has none.

    s(T)          rounding of the kink after T steps: s T constant over three doublings is what a transition shows
    exponent      log2 of KL(T) / KL(T/2) at each rho: 0 where training has settled

A rho is settled where the exponent is within 0.1 of 0, drifting where it is not and its interval over seeds, if there
is one, leaves 0 out, and undecided else. Cells worse than independent pixels, and those without a history back to T/2,
are left out. Between evaluations a history is taken to be linear. Numbers are of validation images, the unsmoothed
model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.kink import ROUNDINGS, Floats
from analysis.critical.rule import LARGEST_GAP, estimate
from analysis.critical.seed_interval import seed_interval
from analysis.frames.baseline import below_baseline
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

    `histories` holds step and kl_top by cell id. A curve of which no history reaches back to half of its steps has no
    row.
    """
    rows: list[dict[str, Any]] = []
    exponents: list[dict[str, Any]] = []
    for whole in curves(frame[(frame["state"] == "complete") & ~below_baseline(frame)]):
        curve = reaching_back(whole, histories)
        if curve.rows.empty:
            continue
        steps = _steps(curve, histories)
        at = {step: _kl_at(curve, histories, step) for step in steps}
        own = _exponents(curve, at[steps[-2]], at[steps[-1]])
        rows += _rows(curve, at, own)
        exponents += own
    return pd.DataFrame(rows, columns=list(COLUMNS)), pd.DataFrame(exponents, columns=list(EXPONENTS))


def reaching_back(curve: Curve, histories: Mapping[str, pd.DataFrame]) -> Curve:
    """Keep the cells of a curve whose histories reach from half of its steps to the last."""
    steps, kept = curve["steps"], []
    for cell_id in curve.rows["cell_id"]:
        history = histories.get(cell_id, pd.DataFrame({"step": []}))["step"]
        kept.append(len(history) > 0 and history.iloc[0] <= steps >> 1 and history.iloc[-1] >= steps)
    return replace(curve, rows=curve.rows[kept])


def _steps(curve: Curve, histories: Mapping[str, pd.DataFrame]) -> list[int]:
    """Halves of the curve's steps that all of its histories hold, ascending."""
    first = max(int(histories[cell_id]["step"].iloc[0]) for cell_id in curve.rows["cell_id"])
    halves = {curve["steps"] >> k for k in range(HALVINGS + 1)}
    return sorted(step for step in halves if first <= step)


def _kl_at(curve: Curve, histories: Mapping[str, pd.DataFrame], step: int) -> pd.DataFrame:
    """Top KL (nats) at a step: a row for each seed, a column for each rho."""
    values = [
        float(np.interp(step, histories[cell_id]["step"], histories[cell_id]["kl_top"]))
        for cell_id in curve.rows["cell_id"]
    ]
    table = curve.rows.assign(kl_at=values).pivot(index="seed", columns="rho", values="kl_at")
    return table.sort_index().sort_index(axis=1)


def _rows(curve: Curve, at: Mapping[int, pd.DataFrame], exponents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows, products = list[dict[str, Any]](), []
    left_out: list[int] = []
    for step, all_seeds in at.items():
        table, left_out = comparable(all_seeds)
        rho = table.columns.to_numpy(dtype=float)
        found = estimate(rho, table.to_numpy(dtype=float), curve.top_width)
        products.append((found.rounding * step, max(found.limit, ROUNDINGS[1]) * step))  # no width below it is tried
        row: dict[str, Any] = {**curve.declared, "step": step, "n_rho": len(rho), "n_seeds": len(table)}
        row |= zip(AT_STEP[:3], _with_gap(rho, found.crossings), strict=True)
        if rows:
            row |= zip(AT_STEP[3:], _ahead(row, rows[-1]), strict=True)
        row |= {"rounding": found.rounding, "widest": found.limit, "rounding_steps": found.rounding * step}
        rows.append(row)
    said = [_verdict(curve, exponents, products)]
    if left_out:
        said.append(f"seed {', '.join(map(str, left_out))} left out: too few rho yet")
    rows[-1]["verdict"] = "; ".join(said)
    return rows


def comparable(table: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """Keep the seeds, and the rho that all of them have, that make most values; returns the seeds left out as well.

    A seed that is still under way at most rho would leave the others next to nothing.
    """
    fullest = table.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index
    choices = [table.loc[sorted(fullest[: n + 1])].dropna(axis=1) for n in range(len(fullest))]
    kept = max(reversed(choices), key=lambda choice: choice.size)
    return kept, [int(seed) for seed in table.index if seed not in kept.index]


def _with_gap(rho: Floats, crossings: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean crossing, and its interval: over seeds, and at least the gap of the grid that it lies in."""
    mean, low, high = seed_interval(crossings)
    if not crossings or np.isnan(crossings).any():
        return math.nan, math.nan, math.nan
    right = int(np.clip(np.searchsorted(rho, mean), 1, len(rho) - 1))
    if rho[right] - rho[right - 1] > LARGEST_GAP + 1e-9:
        return math.nan, math.nan, math.nan
    return mean, max(0.0, float(np.nanmin([low, rho[right - 1]]))), min(1.0, float(np.nanmax([high, rho[right]])))


def _ahead(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return 2 x(T) - x(T/2), as far as rho goes, with the ends that those of both allow."""
    middle, low, high = AT_STEP[:3]
    ends = (2 * now[middle] - then[middle], 2 * now[low] - then[high], 2 * now[high] - then[low])
    first, second, third = (float(np.clip(end, 0.0, 1.0)) for end in ends)
    return first, second, third


def _verdict(curve: Curve, exponents: Sequence[Mapping[str, Any]], products: Sequence[tuple[float, float]]) -> str:
    moving, undecided = [row for row in exponents if row["drifting"]], [row for row in exponents if _is_open(row)]
    parts = [
        f"{verb} at {_range([row['rho'] for row in moving if sign * row['exponent'] > 0])}"
        for verb, sign in (("grows", 1), ("decays", -1))
        if any(sign * row["exponent"] > 0 for row in moving)
    ]
    still = f"at {curve['steps']:,} steps still drifting: the KL {' and '.join(parts)}"
    said = [still if moving else "settled at every rho"] if moving or not undecided else []
    if undecided:
        said.append(f"undecided at {_range([row['rho'] for row in undecided])}")
    least, most = (np.array(end) for end in zip(*products, strict=True))
    if len(products) > HALVINGS and not np.isnan(least).any() and least.max() > 0:
        constant, seen = least.max() <= STEADY * most.min(), least.min() > 0
        what = "proportional to 1 / steps over three doublings"
        if constant and not seen:
            said.append("rounding compatible with 1 / steps, but not seen at all of them")
        else:
            said.append(f"rounding {what}, as at a transition" if constant else f"rounding not {what}")
    return "; ".join(said)


def _range(rhos: Sequence[float]) -> str:
    """Say a range of rho, or the one value."""
    return f"rho {min(rhos):g} to {max(rhos):g}" if len(set(rhos)) > 1 else f"rho {rhos[0]:g}"


def _exponents(curve: Curve, before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, Any]]:
    """log2 KL(T) / KL(T/2) at each rho of the range in which the layer comes out of use."""
    rows = []
    for rho in after.columns:
        then, now = before[rho].to_numpy(dtype=float), after[rho].to_numpy(dtype=float)
        per_unit = float(np.nanmedian(now)) / curve.top_width
        mean, low, high = seed_interval(_log_ratio(then, now))
        drifting = per_unit >= LEAST_KL and abs(mean) > SETTLED and not low <= 0 <= high
        row = {**curve.declared, "rho": float(rho), "exponent": mean, "exponent_low": low, "exponent_high": high}
        rows.append({**row, "kl_per_unit": per_unit, "drifting": drifting})
    return rows


def _is_open(row: Mapping[str, Any]) -> bool:
    """Whether an exponent neither has settled nor surely differs from 0."""
    return row["kl_per_unit"] >= LEAST_KL and abs(row["exponent"]) > SETTLED and not row["drifting"]


def _log_ratio(then: Floats, now: Floats) -> list[float]:
    pairs = zip(then, now, strict=True)
    return [math.log2(b / a) if a > 0 and b > 0 else math.nan for a, b in pairs]
