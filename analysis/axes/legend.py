"""Words of a legend: a critical rho with its uncertainty, and lines of text that fit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.legend import Legend
from matplotlib.offsetbox import HPacker

from analysis.axes import style
from analysis.axes.critical_extent import critical_extent
from analysis.critical.rule import NAMED_LEVEL

RHO_C, C_C = r"$\rho_c$", r"$c_c$"
WITHOUT = {
    "flat": "no transition here",
    "coarse": "grid too coarse",
    "unbracketed": "onset not bracketed",
    "few": "too few rho values",
    "untrained": "worse than independent pixels",
}
CROSSOVERS = f"crossover: KL of {NAMED_LEVEL:g} nats per unit"
LETTERS = 72 / (0.54 * style.SMALL_POINTS)  # of an inch
WIDE = 0.1  # an interval of rho_c that is drawn as a band, without a line


def critical_in_words(row: Mapping[str, Any]) -> str:
    """Say a critical rho: [a–b] is its 90 % interval; of one or two seeds it lies between values of the grid.

    Of a crossover say where it is (see CROSSOVERS) and how wide; of other curves why there is no value.
    """
    if row["active_most"] == 0:
        return "top layer inactive at every ρ"
    symbol = row.get("symbol", RHO_C)
    match row["kind"]:
        case "kink" | "undecided" | "jump":
            low, high = row["interval90_low"], row["interval90_high"]
            if high - low > WIDE:
                return f"{symbol} in [{low:.2f}–{high:.2f}]"
            digits = 3 if high - low < 0.03 else 2
            jump = ", jump" if row["kind"] == "jump" else ""
            return f"{symbol} = {row['rho_critical']:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]{jump}"
        case "bracket":
            return f"{symbol} between {row['grid_low']:.4g} and {row['grid_high']:.4g} (grid)"
        case "crossover":
            place, axis = row["rho_crossing"], "c" if symbol == C_C else "ρ"
            where = "" if math.isnan(place) else f" at {axis} = {place:.2f}"
            return f"crossover{where}, width {_width(row['rounding'], row['widest'])}"
    return f"no {symbol}: {WITHOUT[row['kind']]}"


def crossovers_in_words(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what the place of a crossover is, if any of these curves has one."""
    placed = any(row["kind"] == "crossover" and critical_extent(row) is not None for row in rows)
    return [CROSSOVERS] if placed else []


def _width(least: float, most: float) -> str:
    """Say a width that lies between two, of which the larger may be unknown (infinite)."""
    if math.isinf(most):
        return f"≥ {least:.2g}"
    return f"{least:.2g}" if f"{least:.2g}" == f"{most:.2g}" else f"{least:.2g}–{most:.2g}"


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


def level(legend: Legend) -> Legend:
    """Let handles stand level with the first line of their labels; matplotlib sets them beside the middle.

    Takes a legend with a handleheight of 1, and returns it.
    """
    for box in legend.findobj(HPacker):
        box.align = "top"
    return legend


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
