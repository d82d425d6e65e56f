"""What the page charts over depth and width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.page.chart import PANEL_PIXELS, Chart, number_of, records_of
from analysis.summaries.depth_width import active_units

MOST_MAPS = 4


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
        cells = {(str(row["depth"]), str(row["width"])): row for row in records_of(table[table["rho"] == rho])}
        rows = [[cells.get((depth, width)) for depth in depths] for width in widths]
        figure["data"].append(
            {
                **{"type": "heatmap", "x": depths, "y": widths, "zmin": 0, "zmax": 1, "colorscale": "Viridis"},
                "z": [[None if cell is None else number_of(cell["au_top_fraction"]) for cell in row] for row in rows],
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


def _place_text(cell: Mapping[str, Any] | None) -> str:
    return "" if cell is None or number_of(cell["au_top"]) is None else f"{cell['au_top']:g}"
