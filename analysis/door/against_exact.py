"""What linear models measure against what is exact, on axes of one's own."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import style
from analysis.critical.calibration import calibration_cells, calibration_table
from analysis.door.own_axes import axes_of, legend_above
from analysis.figures.calibration import draw_critical, draw_kl


def calibration(frame: pd.DataFrame, panel: str = "critical", ax: Axes | None = None) -> Axes:
    """Draw the critical rho of the models of `hvae-sweep calibrate`, or their top KL (kl), against the exact one.

    Raises ValueError for another panel, and where there is no solved linear model.
    """
    if panel not in ("critical", "kl"):
        raise ValueError(f"panel: {panel!r} is not allowed; it must be critical, kl")
    linear = frame[frame["family"] == "linear"]
    table = calibration_table(linear)
    if table.empty:
        raise ValueError("nothing to draw: no linear model of hvae-sweep calibrate is complete")
    with style.paper_style():
        ax = axes_of(ax)
        if panel == "critical":
            draw_critical(ax, table)
        else:
            draw_kl(ax, calibration_cells(linear))
        legend_above(ax)
    return ax
