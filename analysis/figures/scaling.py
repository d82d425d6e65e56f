"""The scaling figure: KL per unit, share of active units, rounding and onset against the units of the top layer.

One line for each number of steps, data set, depth and K; bars are 90 % intervals over seeds, and for the rounding what
the curve allows. Only what has a value is drawn; a quantity that no curve has a value of has no panel.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.axes import style
from analysis.axes.legend import level, wrapped
from analysis.axes.paper import DEFAULT, Paper
from analysis.critical.scaling import PANELS

TITLE = "Use of the top layer against its width and the training steps"
LABELS = {
    "kl_per_unit": "plateau KL\n(nats per unit)",
    "share_active": "share active\nat the largest ρ",
    "rounding": "rounding s (ρ)",
    "onset": r"onset $\rho_c$",
}


def draw_scaling(table: pd.DataFrame, *, paper: Paper = DEFAULT) -> Figure:
    """Draw `scaling_table`: two panels abreast in a column, four on a page; raises ValueError for an empty one."""
    if table.empty or not panels_of(table):
        raise ValueError("nothing to draw: no cell is complete and trained")
    groups = groups_of(table)
    width, panels = paper.inches("column"), panels_of(table)
    title, across = paper.titled(TITLE, width), 2 if width == style.COLUMN_INCHES else 4
    rows_of_panels = math.ceil(len(panels) / across)
    with paper.style():
        labels = [wrapped(name.split(", "), 2.8) for name, _ in groups]
        lines = sum(label.count("\n") + 1 for label in labels)
        top, foot, side, gap = (0.3 if title else 0.1), 0.45 + 0.14 * lines, 0.95, 0.18
        height = top + rows_of_panels * side + (rows_of_panels - 1) * gap + foot
        figure = style.new_figure(width, height, title)
        axes = {}
        for i, name in enumerate(panels):
            down = rows_of_panels - 1 - i // across
            left, bottom = 0.72 + (width - 0.03) / across * (i % across), foot + down * (side + gap)
            axes[name] = figure.add_axes((left / width, bottom / height, 0.88 / width, side / height))
        for i, (label, rows) in enumerate(groups):
            for name, ax in axes.items():
                draw_panel(ax, rows, name, style.mark(i), label, aside=(i - (len(groups) - 1) / 2) / len(groups))
        for i, (name, ax) in enumerate(axes.items()):
            set_panel_axes(ax, name, table, lowest=i + across >= len(panels))
        handles = axes[panels[0]].get_legend_handles_labels()[0]
        near: dict[str, Any] = {"loc": "lower left", "frameon": False, "borderpad": 0, "labelspacing": 0.2}
        level(figure.legend(handles, labels, handleheight=1.0, **near))
    return figure


def panels_of(table: pd.DataFrame) -> list[str]:
    """Return the quantities that any row has a value of."""
    return [name for name in PANELS if table[name].notna().any()]


def groups_of(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each line, by units, with what the line is called."""
    several, found = table["depth"].nunique() > 1, []
    for (data, source, depth, K, steps), rows in table.groupby(["dataset", "source", "depth", "ou_samples", "steps"]):
        layers = f"{depth} layer{'' if depth == 1 else 's'}, " if several else ""
        name = f"{style.plain(f'{data}:{source}')}, {layers}K = {K}, {steps:,} steps"
        found.append((name, rows.sort_values("units")))
    return found


def draw_panel(ax: Axes, rows: pd.DataFrame, name: str, look: dict[str, Any], label: str, aside: float = 0.0) -> None:
    """Draw one quantity of one line with its intervals, `aside` (-0.5 to 0.5) of its units so that all are seen."""
    middle = rows[name]
    errors = [(middle - rows[f"{name}_low"]).fillna(0), (rows[f"{name}_high"] - middle).fillna(0)]
    units = 10 ** (0.08 * aside) * rows["units"]
    bars = ax.errorbar(units, middle, yerr=errors, label=label, elinewidth=0.8, markerfacecolor="none", **look)
    bars.lines[0].set_gid(name)


def set_panel_axes(ax: Axes, name: str, table: pd.DataFrame, lowest: bool = True) -> None:
    """Give the axes of a quantity its name and scale, and the units of the table; those of the lowest are named.

    Differences of rounding are no differences: all but the onset start at 0.
    """
    units = sorted({int(value) for value in table["units"]})
    ax.set_xscale("log")
    ax.set_xlim(units[0] / 1.3, units[-1] * 1.3)
    ax.xaxis.set_major_locator(FixedLocator(units))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.tick_params(axis="x", labelbottom=lowest)
    highest = max(float(table[column].astype("float64").max()) for column in (name, f"{name}_high"))
    if name == "share_active":
        ax.set_ylim(-0.04, 1.04)
    elif name != "onset" and highest > 0:
        ax.set_ylim(-0.04 * highest, 1.08 * highest)
    ax.set_ylabel(LABELS[name], linespacing=1.1, labelpad=2)
    if lowest:
        ax.set_xlabel("top-layer units")
