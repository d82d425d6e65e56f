"""Curves in words: what those of a panel share, what each has of its own, and what one is called in a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.frames.curves import DEFAULTS, Curve
from analysis.words.settings import ALWAYS_NAMED, settings


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
    shared = _words(said[0], [n for n in names if n not in differing and n in (*ALWAYS_NAMED, *unusual)])
    own = [
        [curve.name, curve.content, *_words(each, differing), *_mixed(curve)]
        for curve, each in zip(group, said, strict=True)
    ]
    return shared, own


def apart_in_words(group: Sequence[Curve]) -> list[list[str]]:
    """Say what tells each curve of a figure from the others: its data, its model if there are several, its settings."""
    several = len({curve["model"] for curve in group}) > 1
    return [
        [data, *([curve["model"]] if several else []), *rest]
        for curve, (data, _, *rest) in zip(group, curves_in_words(group)[1], strict=True)
    ]


def annealing_in_words(group: Sequence[Curve]) -> list[str]:
    """Say the least KL weight that annealing ended at, if that of any curve did not finish."""
    least = min((curve.unfinished for curve in group if curve.unfinished), default="")
    return ["annealing not finished", f"KL weight ends at {least}"] if least else []


def curve_in_words(curve: Curve) -> str:
    """Name a curve in a note: its data, its model and its settings."""
    shared, own = curves_in_words([curve])
    data, _, *rest = own[0]
    return ", ".join([data, curve["model"], *rest, *(words for words in shared if words != curve.seeds)])


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
