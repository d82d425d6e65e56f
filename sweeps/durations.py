"""Durations and shares in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a time span such as 42 s, 3 min 20 s, 5 h 12 min, 3.1 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 2 * 86400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds / 86400:.1f} days"


def time_left(seconds: float | None) -> str:
    """Write the time that training still takes, None where it is unknown; after the last step come the evaluations."""
    if seconds is None:
        return "ETA unknown"
    return f"ETA {duration(seconds)}" if seconds > 0 else "evaluating"


def percent(share: float) -> str:
    """Write a share of the work in whole percent, rounded down: 100 % is all of it."""
    return f"{100 * share // 1:.0f} %"
