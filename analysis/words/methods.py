"""Configurations in words: a training method (VAE, HVAE, IWAE ...), and the settings that tell it from its neighbours.

What all configurations of a panel or a table share is named once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from analysis.frames.configurations import Configuration
from analysis.frames.curves import DEFAULTS, SETTINGS
from analysis.words.settings import settings
from sweeps.grid.declared import BY_NAME, names

SMOOTHING = ("ou_samples", "smoothing")  # mean something among smoothed configurations only
OBJECTIVE = tuple(name for name in names("objective") if name not in ("rho", *SMOOTHING))
ALWAYS_SHARED = ("ou_samples", *(name for name in names("train") if BY_NAME[name].legend != "unusual"))


def differing(group: Sequence[Configuration]) -> list[str]:
    """Name the settings in which configurations differ; K and smoothing count among smoothed ones only."""

    def values(name: str) -> set[Any]:
        counted = [c for c in group if c.smoothed] if name in ("ou_samples", "smoothing") else group
        return {c[name] for c in counted}

    return [name for name in SETTINGS if len(values(name)) > 1]


def shared_in_words(group: Sequence[Configuration], elsewhere: Collection[str] = ()) -> list[str]:
    """Say what all configurations have in common: always K, steps, batch and rate; others if not the default."""
    apart = [*differing(group), *elsewhere]
    first = next((c for c in group if c.smoothed), group[0])
    said = settings(first.curve)
    if not first.smoothed:
        apart += ["ou_samples", "smoothing"]
    apart += ["smoothing"]  # the method's name says it
    return [
        said[name]
        for name in SETTINGS
        if name not in apart and (name in ALWAYS_SHARED or DEFAULTS.get(name, first[name]) != first[name])
    ]


def names_in_words(
    group: Sequence[Configuration], elsewhere: Collection[str] = ()
) -> list[tuple[list[str], list[str]]]:
    """Name each configuration of a group: its method in words, and the settings in which it differs from others.

    rho is in neither, nor are settings that are said `elsewhere`. Unsmoothed configurations that differ only in what
    smoothing there would be are told apart by it.
    """
    apart = differing(group)
    names = []
    for each in group:
        said = settings(each.curve)
        base = "VAE" if not each.smoothed else "HVAE" if each["smoothing"] == "mean_std" else "HVAE (ratio)"
        extras = [said[name] for name in OBJECTIVE if name in apart and each[name] != DEFAULTS[name]]
        if not each.smoothed and "iwae_k" in apart and each["iwae_k"] > 1:
            base, extras = extras[-1], extras[:-1]
        others = [name for name in apart if name not in (*OBJECTIVE, "smoothing")]
        if not each.smoothed:
            others = [name for name in others if name != "ou_samples"]
            others += [n for n in ("ou_samples", "smoothing") if _told_apart_by(n, each, group)]
        names.append(([base, *extras], [said[name] for name in others if name not in elsewhere]))
    return names


def words_of(group: Sequence[Configuration], rho: bool = True) -> list[list[str]]:
    """Say everything in which each configuration of a group differs, rho among it unless it is said elsewhere."""
    return [
        [name[0], *([f"ρ = {each.rho:.12g}"] if rho and each.smoothed else []), *name[1:], *others]
        for each, (name, others) in zip(group, names_in_words(group), strict=True)
    ]


def _told_apart_by(name: str, one: Configuration, group: Sequence[Configuration]) -> bool:
    """Whether another unsmoothed configuration is the same but for what smoothing there would be, and has another."""
    ignored = ("ou_samples", "smoothing")
    rest = [n for n in SETTINGS if n not in ignored]
    twins = [c for c in group if not c.smoothed and c.group == one.group and all(c[n] == one[n] for n in rest)]
    return len({c[name] for c in twins}) > 1
