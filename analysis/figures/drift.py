"""The drift figure: how the fall moves with the steps of training, and where KL still grows.

Above, the crossing of 0.05 nats per unit after T steps, with its 90 % interval over seeds, and hollow at the right
where it goes if it moves as 1/T. Below, the exponent of KL's growth from T/2 to T at each rho: 0 where training
has settled, the grey band where it nearly has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.axes import style
from analysis.axes.legend import wrapped
from analysis.axes.rho_axis import set_rho_axis
from analysis.critical.drift import LEAST_KL, SETTLED
from analysis.frames.curves import curves

TITLE = "Does the fall still move?"
HEIGHTS, WIDTH = (1.35, 1.35), 2.42
MOST_CURVES = 6

Key: TypeAlias = tuple[Any, ...]


def draw_drift(table: pd.DataFrame, exponents: pd.DataFrame, names: Mapping[Key, str], *, title: bool = True) -> Figure:
    """Draw the tables of `drift_tables`, one column wide; curves beyond the sixth are left out.

    `names` says by its key what a curve is called. Raises ValueError where there is none.
    """
    drawn = curves(table)[:MOST_CURVES]
    if not drawn:
        raise ValueError("nothing to draw: no curve has histories")
    by_rho = {curve.key: curve.rows for curve in curves(exponents)}
    labels = [wrapped([style.plain(word) for word in names[curve.key].split(", ")], 2.8) for curve in drawn]
    with style.paper_style():
        lines = sum(text.count("\n") + 1 for text in labels)
        top, gap, foot = 0.3 if title else 0.1, 0.5, 0.42 + 0.14 * lines
        height = top + sum(HEIGHTS) + gap + foot
        figure = style.new_figure(style.COLUMN_INCHES, height)
        if title:
            figure.suptitle(TITLE, y=1 - 0.05 / height, va="top")
        above, below = (
            figure.add_axes((0.78 / 3.35, bottom / height, WIDTH / 3.35, inches / height))
            for bottom, inches in ((foot + HEIGHTS[1] + gap, HEIGHTS[0]), (foot, HEIGHTS[1]))
        )
        for i, curve in enumerate(drawn):
            look: dict[str, Any] = {"color": style.colour(i), "marker": style.MARKERS[i], "linewidth": 1.0}
            _draw_crossings(above, curve.rows, look)
            _draw_exponents(below, by_rho[curve.key], look)
        _label(above, below, table, exponents)
        handles = above.get_legend_handles_labels()[0]
        figure.legend(handles, labels, loc="lower left", frameon=False, borderpad=0, labelspacing=0.2)
    return figure


def _draw_crossings(ax: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    steps, crossing = rows["step"].to_numpy(), rows["crossing"].to_numpy()
    errors = [crossing - rows["crossing_low"].to_numpy(), rows["crossing_high"].to_numpy() - crossing]
    bars = ax.errorbar(steps, crossing, yerr=errors, label="x", elinewidth=0.8, **look)
    bars.lines[0].set_gid("crossing")
    last = rows.iloc[-1]
    middle = last["extrapolated"]
    ends = [[middle - last["extrapolated_low"]], [last["extrapolated_high"] - middle]]
    ahead = {**look, "markerfacecolor": "white", "markeredgecolor": look["color"], "markeredgewidth": 0.8}
    ax.errorbar([2 * steps[-1]], [middle], yerr=ends, elinewidth=0.8, **ahead)


def _draw_exponents(ax: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    kept = rows[rows["kl_per_unit"] >= LEAST_KL]
    middle = kept["exponent"]
    errors = [middle - kept["exponent_low"], kept["exponent_high"] - middle]
    ax.errorbar(kept["rho"], middle, yerr=errors, elinewidth=0.8, **look)


def _label(above: Axes, below: Axes, table: pd.DataFrame, exponents: pd.DataFrame) -> None:
    steps = sorted({int(step) for step in table["step"]})
    above.set_xscale("log")
    above.xaxis.set_major_locator(FixedLocator([*steps, 2 * steps[-1]]))
    above.xaxis.set_minor_locator(NullLocator())
    names = {step: f"{step:,}" for step in steps} | {2 * steps[-1]: "1/T → 0"}
    above.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(round(value), "")))
    above.set(xlabel="training steps T", ylabel="ρ at 0.05 nats\nper unit")
    below.axhspan(-SETTLED, SETTLED, color="0.9", linewidth=0, zorder=0)
    set_rho_axis([below], exponents["rho"].tolist(), WIDTH)
    below.set(xlabel="OU correlation ρ", ylabel="growth exponent\nof the top KL")
