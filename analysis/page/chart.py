"""A chart as plain values that plotly.js draws: traces and a layout, and how its curves look.

Every text is escaped: plotly reads a part of HTML in labels, and names may come from somebody else's directory. Curves
differ in colour, marker and dash, so that a page can be read without colours.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.page.x_axes import XAxis
from analysis.phase.transition_panels import ALONE

COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#949494", "#111111")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")
SIGNS = ("●", "■", "◆", "▲", "✖", "✚", "★", "▼")  # the same, as text beside a curve's name
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MOST_CURVES = 40
PANEL_PIXELS = 210


@dataclass
class Chart:
    """One chart: its plotly figure, the curves that can be switched on and off, and what is not in it.

    axes: what it can be drawn over, the first to begin with. entries: name, sign and colour of each curve, with its
    traces, and whether they are shown at first.
    """

    name: str
    title: str
    figure: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    axes: list[XAxis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def safe(text: object) -> str:
    """Escape a text for plotly's labels."""
    return html.escape(str(text), quote=False)


def figure_of(panels: Sequence[str], x: str, labels: Mapping[str, str] = ALONE) -> dict[str, Any]:
    """Return an empty figure of panels under each other that share an axis."""
    n = len(panels)
    layout: dict[str, Any] = {
        **{"height": PANEL_PIXELS * n + 60, "showlegend": False, "hovermode": "closest"},
        **{"margin": {"t": 10, "l": 60, "r": 10, "b": 45}, "font": {"size": 12}},
        "xaxis": {"title": {"text": x}, "anchor": "y" if n == 1 else f"y{n}"},
    }
    for i, name in enumerate(panels):
        low = 1 - (i + 1) / n + 0.06 / n
        layout["yaxis" if i == 0 else f"yaxis{i + 1}"] = {
            **{"domain": [low, 1 - i / n], "title": {"text": labels[name]}, "automargin": True, "zeroline": False},
        }
    return {"data": [], "layout": layout}


def place_of(panel: int) -> dict[str, str]:
    """Name the axes of a panel, counted from the top."""
    return {"xaxis": "x", "yaxis": "y" if panel == 0 else f"y{panel + 1}"}


def look_of(i: int, shade: str = "") -> dict[str, Any]:
    """Return the look of the i-th curve, or of a shade of the i-th scale."""
    colour = shade or COLOURS[i % len(COLOURS)]
    return {
        "line": {"color": colour, "dash": DASHES[i // len(COLOURS) % len(DASHES)], "width": 2},
        "marker": {"color": colour, "symbol": MARKERS[i % len(MARKERS)], "size": 8},
    }


def entry_of(look: Mapping[str, Any], name: str, traces: list[int], shown: bool = True) -> dict[str, Any]:
    """Describe a curve beside the box that switches its traces on and off."""
    marker = look["marker"]
    sign = SIGNS[MARKERS.index(marker["symbol"])]
    return {"name": name, "sign": sign, "colour": marker["color"], "traces": traces, "shown": shown}


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return so many items at most, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round()
    return [items[int(place)] for place in places]


def left_out(count: int) -> list[str]:
    """Say how many of so many curves a chart has no room for."""
    more = count - MOST_CURVES
    return [f"{more} of {count} curves are left out; a page shows {MOST_CURVES}"] if more > 0 else []


def draw_over(chart: Chart, axes: list[XAxis]) -> None:
    """Let a chart be drawn over several axes, and draw it over the first."""
    chart.axes, first = axes, axes[0]
    for trace, x in zip(chart.figure["data"], first.x, strict=True):
        trace["x"] = x
    chart.figure["layout"]["xaxis"] |= {**first.ticks, "title": {"text": first.title}}


def records_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dictionaries, with None for what is missing."""
    return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[return-value]


def numbers_of(values: pd.Series[Any]) -> list[float | None]:
    """Return finite floats, and None for gaps."""
    return [number_of(value) for value in values]


def number_of(value: Any) -> float | None:
    """Return a finite float, or None, which is a gap."""
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(value)
