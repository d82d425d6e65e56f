"""The drift figure: how the fall moves with the steps of training, and where KL still grows.

The crossing of 0.05 nats per unit after T steps, with its 90 % interval over seeds, and dotted to the right
where it goes if it moves as 1/T (no panel where no curve has a crossing); and the exponent of KL's growth from
T/2 to T at each rho: 0 where training has settled, the grey band where it nearly has. Markers are hollow and steps
of further curves stand a little apart, so that curves that coincide are all seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.axes import style
from analysis.axes.legend import level, wrapped
from analysis.axes.paper import DEFAULT, Paper
from analysis.axes.rho_axis import rho_label, set_rho_axis
from analysis.critical.drift import LEAST_KL, SETTLED
from analysis.frames.curves import curves

TITLE = "Does the fall still move?"
HEIGHT, WIDTH = 1.35, 2.42  # inches of a panel
_LEFT, _GAP = 0.78, 0.5
MOST_CURVES = 6
BAND = "0.9"
SETTLED_WORDS = f"settled: the exponent is within ±{SETTLED:g}"

Key: TypeAlias = tuple[Any, ...]


def draw_drift(
    table: pd.DataFrame, exponents: pd.DataFrame, names: Mapping[Key, str], *, paper: Paper = DEFAULT
) -> Figure:
    """Draw the tables of `drift_tables`, on a page beside each other; curves beyond the sixth are left out.

    `names` says by its key what a curve is called. Raises ValueError where there is none.
    """
    drawn = curves(table)[:MOST_CURVES]
    if not drawn:
        raise ValueError("nothing to draw: no curve has histories")
    by_rho = {curve.key: curve.rows for curve in curves(exponents)}
    words = [[style.plain(word) for word in names[curve.key].split(", ")] for curve in drawn]
    labels = [wrapped([*said, _seeds(curve.rows)], 2.8) for said, curve in zip(words, drawn, strict=True)]
    width = paper.inches("column")
    crossed = table["crossing"].notna().any()
    title, stacked = paper.titled(TITLE, width), crossed and width == style.COLUMN_INCHES
    with paper.style():
        lines = sum(text.count("\n") + 1 for text in labels) + 1
        top, foot = 0.3 if title else 0.1, 0.42 + 0.14 * lines
        height = top + HEIGHT + (HEIGHT + _GAP if stacked else 0) + foot
        figure = style.new_figure(width, height, title)

        def panel(left: float, above: float) -> Axes:
            return figure.add_axes((left / width, (foot + above) / height, WIDTH / width, HEIGHT / height))

        crossings = panel(_LEFT, HEIGHT + _GAP if stacked else 0) if crossed else None
        growth = panel(_LEFT if stacked or not crossed else width / 2 + _LEFT, 0)
        for i, curve in enumerate(drawn):
            look, aside = look_of(i, len(drawn)), (i - (len(drawn) - 1) / 2) / len(drawn)
            if crossings is not None:
                draw_crossings(crossings, curve.rows, look, end_of(table), aside=aside)
            draw_exponents(growth, by_rho[curve.key], look)
        if crossings is not None:
            set_crossings_axes(crossings, table)
        set_exponents_axes(growth, exponents, WIDTH)
        handles = [*(crossings or growth).get_legend_handles_labels()[0], Patch(facecolor=BAND)]
        near: dict[str, Any] = {"loc": "lower left", "frameon": False, "borderpad": 0, "labelspacing": 0.2}
        level(figure.legend(handles, [*labels, SETTLED_WORDS], handleheight=1.0, **near))
    return figure


def _seeds(rows: pd.DataFrame) -> str:
    """Say over how many seeds a curve's values at the last step are."""
    number = int(rows["n_seeds"].iloc[-1])
    return f"{number} seed{'s' if number > 1 else ''}"


def look_of(i: int, count: int) -> dict[str, Any]:
    """Return the look of the i-th of several curves, with markers through which the others' are seen."""
    hollow = {"markerfacecolor": "none", "markeredgecolor": style.colour(i), "markeredgewidth": 0.8}
    return {**style.mark(i), **(hollow if count > 1 else {})}


def draw_crossings(
    ax: Axes, rows: pd.DataFrame, look: dict[str, Any], end: float, label: str = "x", aside: float = 0.0
) -> None:
    """Draw after how many steps the curve of these rows of the drift table falls where, and dotted where it goes.

    That stands at `end` (see `end_of`). `aside`, from -0.5 to 0.5, moves the curve by up to a twentieth of a decade.
    """
    shift = 10 ** (0.1 * aside)
    steps, crossing = shift * rows["step"].to_numpy(), rows["crossing"].to_numpy()
    errors = [crossing - rows["crossing_low"].to_numpy(), rows["crossing_high"].to_numpy() - crossing]
    bars = ax.errorbar(steps, crossing, yerr=errors, label=label, elinewidth=0.8, **look)
    bars.lines[0].set_gid("crossing")
    last = rows.iloc[-1]
    middle = last["extrapolated"]
    ends = [[middle - last["extrapolated_low"]], [last["extrapolated_high"] - middle]]
    (ahead,) = ax.plot([steps[-1], shift * end], [crossing[-1], middle], color=look["color"], linestyle=":")
    ahead.set(gid="ahead", linewidth=0.9)
    ax.errorbar([shift * end], [middle], yerr=ends, elinewidth=0.8, **look)


def end_of(table: pd.DataFrame) -> float:
    """Return where on the axis of steps infinity stands: at twice the most."""
    return 2 * float(table["step"].max())


def draw_exponents(ax: Axes, rows: pd.DataFrame, look: dict[str, Any], label: str = "x") -> None:
    """Draw the exponents of one curve over rho, where there is KL enough for a ratio."""
    kept = rows[rows["kl_per_unit"] >= LEAST_KL]
    middle = kept["exponent"]
    errors = [middle - kept["exponent_low"], kept["exponent_high"] - middle]
    ax.errorbar(kept["rho"], middle, yerr=errors, label=label, elinewidth=0.8, **look)


def set_crossings_axes(ax: Axes, table: pd.DataFrame) -> None:
    """Give the axes of crossings the steps of the drift table, and beyond them the limit."""
    steps = sorted({int(step) for step in table["step"]})
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([*steps, end_of(table)]))
    ax.xaxis.set_minor_locator(NullLocator())
    names = {step: f"{step:,}" for step in steps} | {round(end_of(table)): "∞"}
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(round(value), "")))
    ax.set(xlabel="training steps T (to ∞ as 1/T)", ylabel="ρ at 0.05 nats\nper unit")


def set_exponents_axes(ax: Axes, exponents: pd.DataFrame, inches: float) -> None:
    """Give the axes of exponents, so many inches wide, the rho axis and the band of what has settled."""
    ax.axhspan(-SETTLED, SETTLED, color=BAND, linewidth=0, zorder=0)
    stretched = set_rho_axis([ax], exponents["rho"].tolist(), inches)
    ax.set(xlabel=rho_label(inches, stretched), ylabel="growth exponent\nof the top KL")
