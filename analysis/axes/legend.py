"""Legends in words: what curves share, what each has of its own, and its critical rho with the uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from analysis.axes import style
from analysis.frames.bits import bits_per_nat
from analysis.frames.curves import DEFAULTS, Curve
from analysis.words.curves import annealing_in_words, curves_in_words
from analysis.words.settings import settings

Key: TypeAlias = tuple[Any, ...]

RHO_C, C_C = r"$\rho_c$", r"$c_c$"
WITHOUT = {
    "flat": "no transition here",
    "coarse": "grid too coarse",
    "unbracketed": "onset not bracketed",
    "few": "too few rho values",
    "untrained": "worse than independent pixels",
}
WIDE = 0.1  # an interval of rho_c that is drawn as a band, without a line


def critical_in_words(row: Mapping[str, Any]) -> str:
    """Say a critical rho: [a–b] is its 90 % interval; of a crossover its place and width; else why there is none."""
    if row["active_most"] == 0:
        return "top layer inactive at every ρ"
    symbol = row.get("symbol", RHO_C)
    match row["kind"]:
        case "kink" | "undecided" | "jump":
            low, high = row["interval90_low"], row["interval90_high"]
            if high - low > WIDE:
                return f"{symbol} in {low:.2f}–{high:.2f}"
            digits = 3 if high - low < 0.03 else 2
            jump = ", jump" if row["kind"] == "jump" else ""
            return f"{symbol} = {row['rho_critical']:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]{jump}"
        case "bracket":
            return f"{symbol} in {row['grid_low']:g}–{row['grid_high']:g}"
        case "crossover":
            near = "" if math.isnan(row["rho_crossing"]) else f" near {row['rho_crossing']:.2f}"
            return f"crossover{near}, width {row['rounding']:.2g}"
    return f"no {symbol}: {WITHOUT[row['kind']]}"


def panel_legend(
    group: Sequence[Curve],
    critical: Mapping[Key, Mapping[str, Any]],
    best: Mapping[Key, float],
    inches: float,
    handle: float,
) -> tuple[str, list[str]]:
    """Return the title (what all curves share) and one label per curve, to be drawn `handle` inches from the left.

    `critical` holds the row of `critical_table` by curve key, `best` the ELBO in nats, by data, that the ELBO axis
    starts from; text is wrapped to that many inches.
    """
    shared, own = curves_in_words(group)
    ends = [critical_in_words(critical[curve.key]) for curve in group]
    title_ends = _best_in_words(group, best)
    if len(group) > 1:
        if len(best) == 1:  # one data set: its name and content go into the title
            shared, own = [*own[0][:2], *shared], [words[2:] for words in own]
        if len(set(ends)) == 1 and ends[0].startswith("no "):
            title_ends, ends = [*title_ends, ends[0]], [""] * len(group)
    defaults = _repeated_defaults(group, own)
    unless = [f"unless said: {defaults[0]}", *defaults[1:]] if defaults else []
    title = [wrapped([*map(style.plain, shared), *title_ends], inches), wrapped(unless, inches)]
    labels = []
    for curve, words, end in zip(group, own, ends, strict=True):
        texts = [*_without(words, defaults), *annealing_in_words([curve])]
        labels.append(wrapped([*map(style.plain, texts), *filter(None, end.split(", "))], inches - handle))
    return "\n".join(filter(None, title)), labels


def _without(words: Sequence[str], defaults: Sequence[str]) -> list[str]:
    """Leave out the defaults that the title names; a curve that has all of them says so."""
    others = [word for word in words if word not in defaults]
    has_all = bool(defaults) and len(words) - len(others) == len(defaults)
    return [*(["all as said"] if has_all else []), *others]


def _best_in_words(group: Sequence[Curve], best: Mapping[Key, float]) -> list[str]:
    """Say from where the ELBO axis starts, for each data set where there are several."""
    first_curves = {curve.data: curve for curve in group}
    names = [curve["dataset"] for curve in first_curves.values()]
    texts = []
    for data, curve in first_curves.items():
        name = curve["dataset"] if names.count(curve["dataset"]) == 1 else curve.name
        whose = f" ({style.plain(name)})" if len(first_curves) > 1 else ""
        bits = bits_per_nat(curve.complete) * best[data]
        as_bits = "" if math.isnan(bits) else f" = {bits:.3f} bits/dim"
        texts.append(f"{best[data]:.2f}".replace("-", "−") + as_bits + whose)
    return [f"best ELBO {texts[0]}", *texts[1:]]


def _repeated_defaults(group: Sequence[Curve], own: Sequence[Sequence[str]]) -> list[str]:
    """Return the defaults, in words, that would be repeated from label to label; none if it is only one."""
    words = {name: settings(curve)[name] for name, value in DEFAULTS.items() for curve in group if curve[name] == value}
    repeated = [text for text in words.values() if any(text in label for label in own)]
    return repeated if len(repeated) > 1 else []


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
