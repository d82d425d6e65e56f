"""Words of a legend: a critical rho with its uncertainty, and lines of text that fit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.axes import style

RHO_C, C_C = r"$\rho_c$", r"$c_c$"
WITHOUT = {
    "flat": "no transition here",
    "coarse": "grid too coarse",
    "unbracketed": "onset not bracketed",
    "few": "too few rho values",
    "untrained": "worse than independent pixels",
}
LETTERS = 72 / (0.54 * style.SMALL_POINTS)  # of an inch
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
            return f"{symbol} in {row['grid_low']:.4g}–{row['grid_high']:.4g}"
        case "crossover":
            near = "" if math.isnan(row["rho_crossing"]) else f" near {row['rho_crossing']:.2f}"
            return f"crossover{near}, width {row['rounding']:.2g}"
    return f"no {symbol}: {WITHOUT[row['kind']]}"


def wrapped(words: Sequence[str], inches: float) -> str:
    """Join words by commas, with a line break before each that would not fit."""
    room = int(inches * LETTERS)
    lines = [words[0]] if words else [""]
    for word in words[1:]:
        if _drawn(lines[-1]) + 2 + _drawn(word) > room:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += f", {word}"
    return "\n".join(lines)


def broken(text: str, inches: float) -> str:
    """Break one sentence at its spaces into lines of that many inches."""
    symbols = {RHO_C: "\x01\x02", C_C: "\x03\x04"}  # as wide as they are drawn
    for symbol, short in symbols.items():
        text = text.replace(symbol, short)
    text = textwrap.fill(text, max(1, int(inches * LETTERS)), break_long_words=False)
    for symbol, short in symbols.items():
        text = text.replace(short, symbol)
    return text


def _drawn(text: str) -> int:
    """Characters that are seen: a formula's markup is not."""
    return len(text.replace(RHO_C, "pc").replace(C_C, "cc"))
