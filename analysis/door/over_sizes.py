"""What is drawn over depth and width, on axes of one's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import style
from analysis.critical.scaling import PANELS, scaling_table
from analysis.door.own_axes import axes_of, legend_above
from analysis.figures.scaling import draw_panel, groups_of, set_panel_axes
from analysis.frames.over_rho import over_rho
from analysis.summaries.depth_width import active_units


def collapse(frame: pd.DataFrame, rho: float = 1.0, ax: Axes | None = None) -> Axes:
    """Draw the active top units over depth and width at one rho, of the first grid that the frame holds.

    Raises ValueError where there is no such map.
    """
    table = active_units(frame)
    table = table[np.isclose(table["rho"].astype("float64"), rho)] if len(table) else table
    if table.empty:
        raise ValueError(f"nothing to draw: no depth-width grid has cells at rho = {rho:g}")
    first = table.iloc[0]
    table = table[(table["dataset"] == first["dataset"]) & (table["hidden"] == first["hidden"])]
    units = table.pivot_table(index="width", columns="depth", values="au_top", aggfunc="first")
    shares = table.pivot_table(index="width", columns="depth", values="au_top_fraction", aggfunc="first")
    with style.paper_style():
        ax = axes_of(ax)
        image = ax.imshow(shares.to_numpy(), origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares.to_numpy()):
            if np.isfinite(share):
                colour = "black" if share > 0.5 else "white"
                ax.text(column, row, f"{units.to_numpy()[row, column]:g}", ha="center", va="center", color=colour)
        ax.set_xticks(range(len(shares.columns)), [str(depth) for depth in shares.columns])
        ax.set_yticks(range(len(shares.index)), [str(width) for width in shares.index])
        ax.set(xlabel="depth (stochastic layers)", ylabel="units per layer", title=f"active top units, ρ = {rho:g}")
        ax.get_figure(root=True).colorbar(image, ax=ax, label="fraction active")  # type: ignore[union-attr]
    return ax


def scaling(frame: pd.DataFrame, panel: str = "kl_per_unit", ax: Axes | None = None) -> Axes:
    """Draw kl_per_unit, share_active, rounding or onset against the units of the top layer, a line per steps and data.

    Raises ValueError for another panel, and where no cell is complete.
    """
    if panel not in PANELS:
        raise ValueError(f"panel: {panel!r} is not allowed; it must be {', '.join(PANELS)}")
    table = scaling_table(over_rho(frame))
    if table.empty:
        raise ValueError("nothing to draw: no cell is complete")
    with style.paper_style():
        ax = axes_of(ax)
        for i, (name, rows) in enumerate(groups_of(table)):
            draw_panel(ax, rows, panel, style.mark(i), name)
        set_panel_axes(ax, panel, table)
        legend_above(ax)
    return ax
