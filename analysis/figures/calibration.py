"""The calibration figure: what the tool measures of linear models, against what is exact.

Left, the critical rho: a point with its 90 % interval for each curve that has one; a cascade that is a crossover has
none. Right, the top KL of every cell.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import style
from analysis.axes.paper import DEFAULT, Paper

TITLE = "Measured against exact: the linear model"
_LEFT, _AROUND = 0.5, 1.05  # inches before the panels, and around them
LIMITS = (0.6, 1.0)


def draw_calibration(table: pd.DataFrame, cells: pd.DataFrame, *, paper: Paper = DEFAULT) -> Figure:
    """Draw `calibration_table` and `calibration_cells` beside each other; raises ValueError for empty ones."""
    if table.empty:
        raise ValueError("nothing to draw: no linear model is complete")
    models = list(dict.fromkeys(table["model"]))
    width = paper.inches("column")
    title, side = paper.titled(TITLE, width), (width - _AROUND) / 2
    with paper.style():
        top = 0.3 if title else 0.1
        height = top + side + 0.36 + 0.14 * (len(models) + 1)
        figure = style.new_figure(width, height, title)
        below = (height - top - side) / height
        left, right = (
            figure.add_axes((x / width, below, side / width, side / height)) for x in (_LEFT, width - side - 0.08)
        )
        draw_critical(left, table)
        draw_kl(right, cells)
        handles = [*right.get_lines()[1:], *left.get_lines()[:1]]
        figure.legend(
            handles,
            [*map(name_of, models), "exact"],
            loc="lower left",
            frameon=False,
            borderpad=0,
            labelspacing=0.25,
            handlelength=1.6,
        )
    return figure


def draw_critical(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the critical rho of each curve that has one, with its interval, against the exact one."""
    known = table[table["rho_critical"].notna()]
    values = [*known["exact_first"], *known["interval90_low"], *known["interval90_high"]] or list(LIMITS)
    low, high = min(values) - 0.01, max(values) + 0.01
    ax.plot([low, high], [low, high], color="0.6", linewidth=0.8, zorder=1)
    for i, model in enumerate(dict.fromkeys(table["model"])):
        rows = known[known["model"] == model]
        middle = rows["rho_critical"]
        errors = [middle - rows["interval90_low"], rows["interval90_high"] - middle]
        look: Any = {"color": style.colour(i), "elinewidth": 0.8}
        bars = ax.errorbar(rows["exact_first"], middle, yerr=errors, **look, fmt="", linestyle="", markersize=3)
        bars.lines[0].set(marker=style.MARKERS[i], gid="critical", label=name_of(model))
    ax.set(xlim=(low, high), ylim=(low, high), xlabel="exact ρ of onset", ylabel="measured ρ of onset")
    ax.set_aspect("equal")


def draw_kl(ax: Axes, cells: pd.DataFrame) -> None:
    """Draw the top KL of every cell against the exact one."""
    most = 1.05 * float(max(cells["kl_top"].max(), cells["kl_exact"].max()))
    ax.plot([0, most], [0, most], color="0.6", linewidth=0.8, zorder=1)
    for i, model in enumerate(dict.fromkeys(cells["model"])):
        rows = cells[cells["model"] == model]
        (points,) = ax.plot(rows["kl_exact"].to_numpy(), rows["kl_top"].astype(float).to_numpy(), linestyle="")
        points.set(marker=style.MARKERS[i], color=style.colour(i), markersize=2.2, alpha=0.6, markeredgewidth=0)
        points.set(gid="kl", label=name_of(model))
    ax.set(xlim=(0, most), ylim=(0, most), xlabel="exact top KL (nats)", ylabel="measured top KL (nats)")
    ax.set_aspect("equal")


def name_of(model: str) -> str:
    """Name a model: of a cascade the number of modes, as all of its ratios are long."""
    ratios = model.removeprefix("linear").split("-")
    one = f"one mode, λ/s² = {ratios[0]}"
    return style.plain(one if len(ratios) == 1 else f"{len(ratios)} modes, {ratios[-1]} to {ratios[0]}")
