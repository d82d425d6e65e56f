"""Checks of settings: an error is one line that names the setting, its value and what is allowed."""

from __future__ import annotations

import math


class SpecError(ValueError):
    """A setting outside its range; the message is one line: the setting, its value, what is allowed."""


def number(value: float) -> float:
    """Round to 12 significant digits, the precision at which two settings count as the same."""
    return float(f"{float(value):.12g}")


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """Raise SpecError unless ok."""
    if not ok:
        raise SpecError(f"{name}: {value!r} is not allowed; it must be {allowed}")


def require_whole(name: str, value: object, low: int, high: int, allowed: str = "") -> None:
    """Raise SpecError unless the value is an int in [low, high]; a bool is none."""
    inside = type(value) is int and low <= value <= high
    require(inside, name, value, f"a whole number {allowed or f'between {low} and {high}'}")


def is_finite(value: float) -> bool:
    """Whether a number is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
