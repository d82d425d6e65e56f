"""Interactive charts as plain values that plotly.js draws: traces and a layout, from tidy frames.

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
from matplotlib.colors import to_hex

from analysis.axes import style
from analysis.axes.legend import RHO_C, critical_in_words
from analysis.critical.table import critical_table
from analysis.frames.configurations import Configuration, configurations
from analysis.frames.curves import curves
from analysis.page.x_axes import RHO, XAxis, x_axes
from analysis.phase.transition_panels import ALONE
from analysis.summaries.depth_width import active_units
from analysis.summaries.information import evaluated, information_table, rows_of
from analysis.summaries.summary import summarise
from analysis.words.curves import apart_in_words
from analysis.words.methods import words_of

COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#949494", "#111111")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")
SIGNS = ("●", "■", "◆", "▲", "✖", "✚", "★", "▼")  # the same, as text beside a curve's name
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
HOVER = {
    "elbo": "ELBO {:.2f} nats",
    "bits_per_dim": "{:.3f} bits/dim",
    "kl_top": "top KL {:.3f} nats",
    "kl_total": "KL {:.2f} nats",
    "au_top": "{:g} active top units",
    "share_top": "share {:.3f}",
    "info_top": "information at least {:.2f} nats",
    "info_top_high": "and at most {:.2f} nats",
    "ll_100": "L_100 {:.2f} nats",
}
INFORMATION = "What each layer knows about the image"
ESTIMATES = (
    "Solid, with markers: KL of the layer and those above, the most that it can know. Information about the image lies "
    "between the dotted line, the lower estimate, and the dashed one, the upper."
)
QUANTITIES = {
    "kl_from_here": ("KL from here up", "solid", "lines+markers"),
    "info_high": ("at most", "dash", "lines"),
    "info": ("at least", "dot", "lines"),
}
MOST_CURVES, MOST_SHOWN, MOST_MAPS = 40, 6, 4
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


def transition(frame: pd.DataFrame) -> Chart | None:
    """Chart the use of the top layer over rho: medians over seeds, and every cell with all it measured.

    A thick bar at half of the plateau is the interval of a critical rho, its bracket, or a crossover.
    """
    drawn = [curve for curve in curves(frame) if len(curve.complete)]
    if not drawn:
        return None
    panels = [name for name in ALONE if name in frame and frame[name].notna().any()]
    notes = _beyond(len(drawn))
    drawn = drawn[:MOST_CURVES]
    summary = {curve.key: curve.rows for curve in curves(summarise(frame))}
    chart = Chart("transition", "The top layer over smoothing", _figure(panels, RHO), notes=notes)
    critical = {
        curve.key: {str(name): value for name, value in curve.rows.iloc[0].items()}
        for curve in curves(critical_table(frame))
    }
    rhos: list[list[float]] = []
    ou_samples: list[float] = []
    for i, (curve, name) in enumerate(zip(drawn, map(", ".join, apart_in_words(drawn)), strict=True)):
        traces, rows, cells = [], summary[curve.key], curve.complete
        for panel, metric in enumerate(panels):
            median = {"y": _numbers(rows[f"{metric}_median"]), "mode": "lines", "hoverinfo": "skip"}
            texts = [_hover(cell) for cell in _records(cells)]
            each = {"y": _numbers(cells[metric]), "mode": "markers", "text": texts, "hoverinfo": "text"}
            for trace, of in ((median, rows), (each, cells)):
                traces.append(len(chart.figure["data"]))
                chart.figure["data"].append({**trace, **_look(i), **_place(panel), "name": safe(name)})
                rhos.append([float(rho) for rho in of["rho"]])
                ou_samples.append(curve["ou_samples"])
        if panels[0] == "kl_top" and (place := placed(critical[curve.key])) is not None:
            low, high, height = place
            words = f"{safe(name)}<br>{critical_in_words(critical[curve.key]).replace(RHO_C, 'ρ_c')}"
            traces.append(len(chart.figure["data"]))
            look = _look(i)
            bar = {"y": [height, height], "mode": "lines", "text": [words, words], "hoverinfo": "text", **_place(0)}
            chart.figure["data"].append({**look, **bar, "line": {**look["line"], "width": 6}, "name": safe(name)})
            rhos.append([low, high])
            ou_samples.append(curve["ou_samples"])
        chart.entries.append(_entry(_look(i), name, traces))
    _draw_over(chart, x_axes(rhos, ou_samples))
    return chart


def placed(row: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Return the ends of a critical rho, its bracket or its crossover, and the height to draw it at; None without."""
    match row["kind"]:
        case _ if row["active_most"] == 0:
            return None
        case "bracket":
            low, high = row["grid_low"], row["grid_high"]
        case "crossover":
            half = (row["rounding"] if math.isinf(row["widest"]) else row["widest"]) / 2
            low, high = row["rho_crossing"] - half, min(row["rho_crossing"] + half, 1.0)
        case _:
            low, high = row["interval90_low"], row["interval90_high"]
    return None if math.isnan(low) else (low, high, row["plateau"] / 2)


def training(frame: pd.DataFrame, histories: Mapping[str, pd.DataFrame]) -> Chart | None:
    """Chart validation ELBO and top KL over the steps of every cell that was evaluated more than once.

    Many rho values run from light to dark, and a few of them are shown at first.
    """
    histories = {cell: table for cell, table in histories.items() if len(table) > 1}
    found = [one for one in configurations(frame) if any(cell in histories for cell in one.rows["cell_id"])]
    if not found:
        return None
    metrics = {"elbo": "validation ELBO (nats)", "kl_top": "top-layer KL (nats)"}
    chart = Chart("training", "Training", _figure(list(metrics), "optimiser steps", metrics), notes=_beyond(len(found)))
    shown, groups = _spread(found, MOST_CURVES), list(dict.fromkeys(one.group for one in found))
    rhos, first = sorted({one.rho for one in shown}), _shown_at_first(shown)
    if len(first) < len(shown):
        chart.notes.append(f"{len(first)} of {len(shown)} curves are shown at first; the boxes show the others")
    for i, (one, words) in enumerate(zip(shown, words_of(shown), strict=True)):
        name, traces = ", ".join([one.curve.name, one["model"], *words]), []
        look = _look(i) if len(rhos) <= MOST_SHOWN else _look(groups.index(one.group), _shade(one.rho, rhos))
        for cell in _records(one.rows):
            table = histories.get(cell["cell_id"])
            if table is None:
                continue
            for panel, metric in enumerate(metrics):
                label = f"{safe(name)}<br>seed {cell['seed']}, cell {safe(cell['cell_id'])}"
                traces.append(len(chart.figure["data"]))
                chart.figure["data"].append(
                    {
                        **{"x": [int(step) for step in table["step"]], "y": _numbers(table[metric])},
                        **{**look, **_place(panel), "name": safe(name), "mode": "lines+markers"},
                        **{"marker": {**look["marker"], "size": 6, "maxdisplayed": 8}, "visible": one.key in first},
                        "hovertemplate": f"step %{{x}}: %{{y:.3f}}<br>{label}<extra></extra>",
                    }
                )
        chart.entries.append(_entry(look, name, traces, one.key in first))
    return chart


def collapse(frame: pd.DataFrame) -> Chart | None:
    """Chart the active top units over depth and width, one map for each rho."""
    table = active_units(frame)
    if table.empty:
        return None
    maps = sorted({float(rho) for rho in table["rho"]}, reverse=True)[:MOST_MAPS]
    first = table.iloc[0]
    table = table[(table["dataset"] == first["dataset"]) & (table["hidden"] == first["hidden"])]
    figure: dict[str, Any] = {"data": [], "layout": {"margin": {"t": 30, "l": 60, "r": 10, "b": 45}, "annotations": []}}
    figure["layout"]["height"] = PANEL_PIXELS * len(maps) + 60
    widths = [str(width) for width in sorted({int(width) for width in table["width"]})]
    depths = [str(depth) for depth in sorted({int(depth) for depth in table["depth"]})]
    for i, rho in enumerate(maps):
        cells = {(str(row["depth"]), str(row["width"])): row for row in _records(table[table["rho"] == rho])}
        rows = [[cells.get((depth, width)) for depth in depths] for width in widths]
        figure["data"].append(
            {
                **{"type": "heatmap", "x": depths, "y": widths, "zmin": 0, "zmax": 1, "colorscale": "Viridis"},
                "z": [[None if cell is None else _number(cell["au_top_fraction"]) for cell in row] for row in rows],
                "text": [[_place_text(cell) for cell in row] for row in rows],
                **{"texttemplate": "%{text}", "hovertemplate": "depth %{x}, width %{y}: %{text} active<extra></extra>"},
                **{"showscale": i == 0, "colorbar": {"title": {"text": "fraction"}}},
                **{"xaxis": "x" if i == 0 else f"x{i + 1}", "yaxis": "y" if i == 0 else f"y{i + 1}"},
            }
        )
        suffix, title = "" if i == 0 else str(i + 1), "depth" if i == len(maps) - 1 else ""
        domain = [1 - (i + 1 - 0.14) / len(maps), 1 - i / len(maps)]
        figure["layout"][f"xaxis{suffix}"] = {"type": "category", "anchor": f"y{suffix}", "title": {"text": title}}
        figure["layout"][f"yaxis{suffix}"] = {
            **{"type": "category", "domain": domain, "anchor": f"x{suffix}"},
            "title": {"text": f"width at ρ = {rho:g}"},
        }
    return Chart("collapse", "Active top units over depth and width", figure)


def information(frame: pd.DataFrame) -> Chart | None:
    """Chart what each layer knows about the image over rho, medians over seeds, a panel for each layer from the top."""
    known = [curve for curve in curves(frame) if len(evaluated(curve))]
    if not known:
        return None
    table, shown = information_table(known), known[:MOST_CURVES]
    depth = max(curve.model.depth for curve in shown)
    labels = {f"layer {layer}": f"layer {layer} (nats)" for layer in range(depth, 0, -1)}
    chart = Chart("information", INFORMATION, _figure(list(labels), RHO, labels))
    for axis in range(depth):
        chart.figure["layout"]["yaxis" if axis == 0 else f"yaxis{axis + 1}"]["rangemode"] = "tozero"
    examples = int(table["examples"].min())
    ceiling = f"No lower estimate from N = {examples:,} images exceeds log N = {math.log(examples):.1f} nats."
    chart.notes = [ESTIMATES, ceiling, *_beyond(len(known))]
    rhos: list[list[float]] = []
    ou_samples: list[float] = []
    for i, (curve, name) in enumerate(zip(shown, map(", ".join, apart_in_words(shown)), strict=True)):
        rows, traces = rows_of(table, curve), []
        for panel, layer in enumerate(range(depth, 0, -1)):
            own = rows[rows["layer"] == layer]
            for quantity, (words, dash, mode) in QUANTITIES.items():
                traces.append(len(chart.figure["data"]))
                look = _look(i)
                rhos.append([float(rho) for rho in own["rho"]])
                ou_samples.append(curve["ou_samples"])
                chart.figure["data"].append(
                    {
                        **{"text": [f"{rho:g}" for rho in own["rho"]], "y": _numbers(own[f"{quantity}_median"])},
                        **{**look, **_place(panel), "mode": mode, "name": safe(name)},
                        "line": {**look["line"], "dash": dash},
                        "hovertemplate": f"ρ = %{{text}}: {words} %{{y:.3f}} nats<br>{safe(name)}<extra></extra>",
                    }
                )
        chart.entries.append(_entry(_look(i), name, traces))
    _draw_over(chart, x_axes(rhos, ou_samples))
    return chart


def _draw_over(chart: Chart, axes: list[XAxis]) -> None:
    """Let a chart be drawn over several axes, and draw it over the first."""
    chart.axes, first = axes, axes[0]
    for trace, x in zip(chart.figure["data"], first.x, strict=True):
        trace["x"] = x
    chart.figure["layout"]["xaxis"] |= {**first.ticks, "title": {"text": first.title}}


def _figure(panels: Sequence[str], x: str, labels: Mapping[str, str] = ALONE) -> dict[str, Any]:
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


def _place(panel: int) -> dict[str, str]:
    return {"xaxis": "x", "yaxis": "y" if panel == 0 else f"y{panel + 1}"}


def _look(i: int, shade: str = "") -> dict[str, Any]:
    """Return the look of the i-th curve, or of a shade of the i-th scale."""
    colour = shade or COLOURS[i % len(COLOURS)]
    return {
        "line": {"color": colour, "dash": DASHES[i // len(COLOURS) % len(DASHES)], "width": 2},
        "marker": {"color": colour, "symbol": MARKERS[i % len(MARKERS)], "size": 8},
    }


def _shade(rho: float, rhos: Sequence[float]) -> str:
    """Return the colour of a rho value on a scale from light to dark."""
    return to_hex(style.sequential(rhos.index(rho) / (len(rhos) - 1)))


def _entry(look: Mapping[str, Any], name: str, traces: list[int], shown: bool = True) -> dict[str, Any]:
    marker = look["marker"]
    sign = SIGNS[MARKERS.index(marker["symbol"])]
    return {"name": name, "sign": sign, "colour": marker["color"], "traces": traces, "shown": shown}


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return so many items at most, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round()
    return [items[int(place)] for place in places]


def _shown_at_first(found: Sequence[Configuration]) -> set[Any]:
    """Name a few curves of each data set and model: the unsmoothed one, and others spread over rho."""
    groups: dict[Any, list[Configuration]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    return {one.key for group in groups.values() for one in _spread(group, MOST_SHOWN)}


def _hover(cell: Mapping[str, Any]) -> str:
    known = [words.format(float(cell[name])) for name, words in HOVER.items() if _number(cell.get(name)) is not None]
    head = f"cell {safe(cell['cell_id'])}<br>{safe(cell['method'])}, ρ = {cell['rho']:g}, seed {cell['seed']}"
    return "<br>".join([head, *known])


def _place_text(cell: Mapping[str, Any] | None) -> str:
    return "" if cell is None or _number(cell["au_top"]) is None else f"{cell['au_top']:g}"


def _beyond(count: int) -> list[str]:
    more = count - MOST_CURVES
    return [f"{more} of {count} curves are left out; a page shows {MOST_CURVES}"] if more > 0 else []


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[return-value]


def _numbers(values: pd.Series[Any]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | None:
    """Return a finite float, or None, which is a gap."""
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(value)
