"""What is drawn over the steps of training, on axes of one's own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import style
from analysis.critical.drift import drift_tables
from analysis.door.own_axes import axes_of, inches_of, legend_above
from analysis.figures.drift import MOST_CURVES, draw_crossings, draw_exponents, set_crossings_axes, set_exponents_axes
from analysis.frames.configurations import configurations
from analysis.frames.curves import curves
from analysis.frames.over_rho import over_rho
from analysis.phase.transition_panels import ALONE
from analysis.words.curves import apart_in_words
from analysis.words.methods import words_of


def training(
    frame: pd.DataFrame, histories: Mapping[str, pd.DataFrame], metric: str = "kl_top", ax: Axes | None = None
) -> Axes:
    """Draw kl_top or elbo on validation images over the steps, one line for each cell that has a history.

    `histories` are tables by cell id, as `analysis.read_histories` gives them. Raises ValueError where there are none.
    """
    found = [one for one in configurations(frame) if any(cell in histories for cell in one.rows["cell_id"])]
    if metric not in ("kl_top", "elbo") or not found:
        raise ValueError(f"nothing to draw: no cell has a history of {metric!r}; it must be kl_top or elbo")
    with style.paper_style():
        ax = axes_of(ax)
        for i, (one, words) in enumerate(zip(found, words_of(found), strict=True)):
            tables = [histories[cell] for cell in one.rows["cell_id"] if cell in histories]
            for j, table in enumerate(tables):
                label = style.plain(", ".join([one["model"], *words])) if j == 0 else "_nolegend_"
                line = ax.plot(table["step"].to_numpy(), table[metric].to_numpy(), label=label, color=style.colour(i))[
                    0
                ]
                line.set(linestyle=style.LINES[i % len(style.LINES)], linewidth=1.0)
        ax.set(xlabel="optimiser steps", ylabel="validation ELBO (nats)" if metric == "elbo" else ALONE[metric])
        legend_above(ax)
    return ax


def drift(
    frame: pd.DataFrame, histories: Mapping[str, pd.DataFrame], panel: str = "crossing", ax: Axes | None = None
) -> Axes:
    """Draw how the fall moves with the steps: its crossing of 0.05 nats per unit, or the exponent of KL's growth.

    Raises ValueError for another panel than crossing and exponent, and where no history reaches back to half of the
    steps.
    """
    if panel not in ("crossing", "exponent"):
        raise ValueError(f"panel: {panel!r} is not allowed; it must be crossing, exponent")
    trained = over_rho(frame)
    table, exponents = drift_tables(trained, histories)
    every = curves(trained)
    names = {curve.key: ", ".join(words) for curve, words in zip(every, apart_in_words(every), strict=True)}
    shown = table if panel == "crossing" else exponents
    drawn = curves(shown)[:MOST_CURVES]
    if not drawn:
        raise ValueError("nothing to draw: no cell has a history that reaches back to half of its steps")
    with style.paper_style():
        ax = axes_of(ax)
        for i, curve in enumerate(drawn):
            draw = draw_crossings if panel == "crossing" else draw_exponents
            draw(ax, curve.rows, style.mark(i), style.plain(names[curve.key]))
        if panel == "crossing":
            set_crossings_axes(ax, table)
        else:
            set_exponents_axes(ax, exponents, inches_of(ax))
        legend_above(ax)
    return ax
