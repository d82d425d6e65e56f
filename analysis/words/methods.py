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
OBJECTIVE = tuple(name for name in names("objective") if name not in ("rho", "system", *SMOOTHING))
SYSTEMS = {"lvae": "LVAE", "lvae+skip": "LVAE+", "biva": "BIVA", "vampprior": "VampPrior"}
ALWAYS_SHARED = ("ou_samples", *(name for name in names("train") if BY_NAME[name].legend != "unusual"))


def differing(group: Sequence[Configuration]) -> list[str]:
    """Name the settings in which configurations differ; K and smoothing count among smoothed ones only."""
    smoothed = [configuration for configuration in group if configuration.smoothed]

    def values(name: str) -> set[Any]:
        return {configuration[name] for configuration in (smoothed if name in SMOOTHING else group)}

    return [name for name in SETTINGS if len(values(name)) > 1]


def shared_in_words(group: Sequence[Configuration], elsewhere: Collection[str] = ()) -> list[str]:
    """Name what all configurations have in common: always K, steps, batch and rate; others if not the default.

    The method's name says what is smoothed, and K means nothing where nothing is.
    """
    first = next((configuration for configuration in group if configuration.smoothed), group[0])
    left_out = {*differing(group), *elsewhere, *(("smoothing",) if first.smoothed else SMOOTHING)}
    words = settings(first.curve)

    def named(name: str) -> bool:
        return name in ALWAYS_SHARED or DEFAULTS.get(name, first[name]) != first[name]

    return [words[name] for name in SETTINGS if name not in left_out and named(name)]


def names_in_words(
    group: Sequence[Configuration], elsewhere: Collection[str] = ()
) -> list[tuple[list[str], list[str]]]:
    """Name each configuration of a group: its method in words, and the settings in which it differs from others.

    rho is in neither, nor are settings that are named `elsewhere`. Unsmoothed configurations that differ only in what
    smoothing there would be are told apart by it.
    """
    apart = differing(group)
    return [(_method(configuration, apart), _others(configuration, group, apart, elsewhere)) for configuration in group]


def _method(one: Configuration, apart: Collection[str]) -> list[str]:
    """Say a method: VAE, HVAE, IWAE with its k, LVAE, ..., or one of these and what is added to it."""
    words = settings(one.curve)
    extras = [words[name] for name in OBJECTIVE if name in apart and one[name] != DEFAULTS[name]]
    if one["system"] != "hvae":
        smoothed = {"mean_std": "OU", "ratio": "OU (ratio)"}[one["smoothing"]]
        return [SYSTEMS[one["system"]], *([smoothed] if one.smoothed else []), *extras]
    if one.smoothed:
        return ["HVAE" if one["smoothing"] == "mean_std" else "HVAE (ratio)", *extras]
    if "iwae_k" in apart and one["iwae_k"] > 1:
        return [words["iwae_k"], *(extra for extra in extras if extra != words["iwae_k"])]
    return ["VAE", *extras]


def _others(
    one: Configuration, group: Sequence[Configuration], apart: Sequence[str], elsewhere: Collection[str]
) -> list[str]:
    """Say the settings, beside the method, that tell a configuration from others of its group."""
    names = [name for name in apart if name not in (*OBJECTIVE, "smoothing", "system")]
    if not one.smoothed:
        names = [name for name in names if name not in SMOOTHING]
        names += [name for name in SMOOTHING if told_apart_by(name, one, group)]
    words = settings(one.curve)
    return [words[name] for name in names if name not in elsewhere]


def words_of(group: Sequence[Configuration], rho: bool = True) -> list[list[str]]:
    """Say everything in which each configuration of a group differs, rho among it unless it is named elsewhere."""
    words = []
    for one, ((method, *extras), others) in zip(group, names_in_words(group), strict=True):
        at = [f"ρ = {one.rho:.12g}"] if rho and one.smoothed else []
        words.append([method, *at, *extras, *others])
    return words


def told_apart_by(name: str, one: Configuration, group: Sequence[Configuration]) -> bool:
    """Whether an unsmoothed configuration that is otherwise the same has another value of a smoothing setting."""
    rest = [setting for setting in SETTINGS if setting not in SMOOTHING]
    twins = [
        other
        for other in group
        if not other.smoothed and other.group == one.group and all(other[setting] == one[setting] for setting in rest)
    ]
    return len({twin[name] for twin in twins}) > 1
