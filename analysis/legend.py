"""Legends in words: what curves share, what each has of its own, and its critical rho with the uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis import style
from analysis.critical import RETURNS, TRANSITION
from analysis.curves import Curve, annealing_in_words, curves_in_words

RHO_C = r"$\rho_c$"


def critical_in_words(row: Mapping[str, Any]) -> str:
    """Say a critical rho: [a, b] is its bootstrap interval over seeds, (grid a–b) the neighbouring rho values."""
    if row["verdict"] not in (TRANSITION, RETURNS):
        return f"no {RHO_C}: {row['verdict']}"
    interval = not math.isnan(row["interval_low"])
    low, high = (row[f"{'interval' if interval else 'bracket'}_{end}"] for end in ("low", "high"))
    digits = 3 if high - low < 0.099 else 2
    value = f"{RHO_C} ≈ {row['rho_critical']:.{digits}f}"
    around = f"[{low:.{digits}f}, {high:.{digits}f}]" if interval else f"(grid {low:g}–{high:g})"
    back = " (above half again at the end)" if row["verdict"] == RETURNS else ""
    return f"{value} {around}{back}"


def panel_legend(
    group: Sequence[Curve], critical: Mapping[tuple[Any, ...], Mapping[str, Any]], inches: float, handle: float
) -> tuple[str, list[str]]:
    """Return the title (what all curves share) and one label per curve, to be drawn `handle` inches from the left.

    `critical` holds the row of `CriticalRho` by curve key; text is wrapped to that many inches.
    """
    shared, own = curves_in_words(group)
    labels = []
    for curve, words in zip(group, own, strict=True):
        said = map(style.plain, [*words, *annealing_in_words([curve])])
        labels.append(wrapped([*said, critical_in_words(critical[curve.key])], inches - handle))
    return wrapped(list(map(style.plain, shared)), inches), labels


def wrapped(words: Sequence[str], inches: float) -> str:
    """Join words by commas, with a line break before each that would not fit."""
    room = int(inches * 72 / (0.54 * style.SMALL_POINTS))
    lines = [words[0]] if words else [""]
    for word in words[1:]:
        if _drawn(lines[-1]) + 2 + _drawn(word) > room:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += f", {word}"
    return "\n".join(lines)


def _drawn(text: str) -> int:
    """Characters that are seen: a formula's markup is not."""
    return len(text.replace(RHO_C, "pc"))
