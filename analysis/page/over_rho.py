"""What the page charts over rho: the use of the top layer, and what each layer knows about the image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.axes.critical_extent import critical_extent, critical_height
from analysis.axes.legend import RHO_C, critical_in_words
from analysis.critical.table import critical_table
from analysis.frames.curves import curves
from analysis.page.chart import (
    MOST_CURVES,
    Chart,
    draw_over,
    entry_of,
    figure_of,
    left_out,
    look_of,
    number_of,
    numbers_of,
    place_of,
    records_of,
    safe,
)
from analysis.page.x_axes import RHO, x_axes
from analysis.phase.transition_panels import ALONE
from analysis.summaries.information import evaluated, information_table, rows_of
from analysis.summaries.summary import summarise
from analysis.words.curves import apart_in_words

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


def transition(frame: pd.DataFrame) -> Chart | None:
    """Chart the use of the top layer over rho: medians over seeds, and every cell with all it measured.

    A thick bar at half of the plateau is the interval of a critical rho, its bracket, or a crossover.
    """
    drawn = [curve for curve in curves(frame) if len(curve.complete)]
    if not drawn:
        return None
    panels = [name for name in ALONE if name in frame and frame[name].notna().any()]
    notes = left_out(len(drawn))
    drawn = drawn[:MOST_CURVES]
    summary = {curve.key: curve.rows for curve in curves(summarise(frame))}
    chart = Chart("transition", "The top layer over smoothing", figure_of(panels, RHO), notes=notes)
    critical = {
        curve.key: {str(name): value for name, value in curve.rows.iloc[0].items()}
        for curve in curves(critical_table(frame))
    }
    images = any(not curve.is_null for curve in drawn)  # beside them a null's critical value means nothing
    grid = sorted({float(rho) for curve in drawn for rho in curve.complete["rho"]})
    rhos: list[list[float]] = []
    ou_samples: list[float] = []
    for i, (curve, name) in enumerate(zip(drawn, map(", ".join, apart_in_words(drawn)), strict=True)):
        traces, rows, cells = [], summary[curve.key], curve.complete
        for panel, metric in enumerate(panels):
            median = {"y": numbers_of(rows[f"{metric}_median"]), "mode": "lines", "hoverinfo": "skip"}
            texts = [_hover(cell) for cell in records_of(cells)]
            each = {"y": numbers_of(cells[metric]), "mode": "markers", "text": texts, "hoverinfo": "text"}
            for trace, of in ((median, rows), (each, cells)):
                traces.append(len(chart.figure["data"]))
                chart.figure["data"].append({**trace, **look_of(i), **place_of(panel), "name": safe(name)})
                rhos.append([float(rho) for rho in of["rho"]])
                ou_samples.append(curve["ou_samples"])
        extent = None if curve.is_null and images else critical_extent(critical[curve.key])
        if panels[0] == "kl_top" and extent is not None:
            height = critical_height(critical[curve.key], i)
            words = f"{safe(name)}<br>{critical_in_words(critical[curve.key]).replace(RHO_C, 'ρ_c')}"
            traces.append(len(chart.figure["data"]))
            look = look_of(i)
            bar = {"y": [height, height], "mode": "lines", "text": [words, words], "hoverinfo": "text", **place_of(0)}
            chart.figure["data"].append({**look, **bar, "line": {**look["line"], "width": 6}, "name": safe(name)})
            rhos.append(list(extent))
            ou_samples.append(curve["ou_samples"])
        chart.entries.append(entry_of(look_of(i), name, traces))
    draw_over(chart, x_axes(grid, rhos, ou_samples))
    return chart


def information(frame: pd.DataFrame) -> Chart | None:
    """Chart what each layer knows about the image over rho, medians over seeds, a panel for each layer from the top."""
    known = [curve for curve in curves(frame) if len(evaluated(curve))]
    if not known:
        return None
    table, shown = information_table(known), known[:MOST_CURVES]
    depth = max(curve.model.depth for curve in shown)
    labels = {f"layer {layer}": f"layer {layer} (nats)" for layer in range(depth, 0, -1)}
    chart = Chart("information", INFORMATION, figure_of(list(labels), RHO, labels))
    for axis in range(depth):
        chart.figure["layout"]["yaxis" if axis == 0 else f"yaxis{axis + 1}"]["rangemode"] = "tozero"
    examples = int(table["examples"].min())
    ceiling = f"No lower estimate from N = {examples:,} images exceeds log N = {math.log(examples):.1f} nats."
    chart.notes = [ESTIMATES, ceiling, *left_out(len(known))]
    rhos: list[list[float]] = []
    ou_samples: list[float] = []
    for i, (curve, name) in enumerate(zip(shown, map(", ".join, apart_in_words(shown)), strict=True)):
        rows, traces = rows_of(table, curve), []
        for panel, layer in enumerate(range(depth, 0, -1)):
            own = rows[rows["layer"] == layer]
            for quantity, (words, dash, mode) in QUANTITIES.items():
                traces.append(len(chart.figure["data"]))
                look = look_of(i)
                rhos.append([float(rho) for rho in own["rho"]])
                ou_samples.append(curve["ou_samples"])
                chart.figure["data"].append(
                    {
                        **{"text": [f"{rho:g}" for rho in own["rho"]], "y": numbers_of(own[f"{quantity}_median"])},
                        **{**look, **place_of(panel), "mode": mode, "name": safe(name)},
                        "line": {**look["line"], "dash": dash},
                        "hovertemplate": f"ρ = %{{text}}: {words} %{{y:.3f}} nats<br>{safe(name)}<extra></extra>",
                    }
                )
        chart.entries.append(entry_of(look_of(i), name, traces))
    draw_over(chart, x_axes(sorted({float(rho) for rho in table["rho"]}), rhos, ou_samples))
    return chart


def _hover(cell: Mapping[str, Any]) -> str:
    known = [words.format(float(cell[name])) for name, words in HOVER.items() if number_of(cell.get(name)) is not None]
    head = f"cell {safe(cell['cell_id'])}<br>{safe(cell['method'])}, ρ = {cell['rho']:g}, seed {cell['seed']}"
    return "<br>".join([head, *known])
