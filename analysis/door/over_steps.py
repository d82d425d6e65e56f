"""What is drawn over the steps of training, on axes of one's own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import style
from analysis.critical.drift import drift_tables
from analysis.door.own_axes import axes_of, inches_of, legend_above
from analysis.figures.drift import (
    MOST_CURVES,
    draw_crossings,
    draw_exponents,
    end_of,
    look_of,
    set_crossings_axes,
    set_exponents_axes,
)
from analysis.figures.training_layout import GREY, Look, Looks
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

    Many rho values run from light to dark; several data sets and models differ in their markers.
    `histories` are tables by cell id, as `analysis.read_histories` gives them. Raises ValueError where there are none.
    """
    found = [one for one in configurations(frame) if any(cell in histories for cell in one.rows["cell_id"])]
    if metric not in ("kl_top", "elbo") or not found:
        raise ValueError(f"nothing to draw: no cell has a history of {metric!r}; it must be kl_top or elbo")
    groups = list(dict.fromkeys(one.group for one in found))
    looks = Looks.of(found).by_variant
    with style.paper_style():
        ax = axes_of(ax)
        for one, words in zip(found, words_of(found), strict=True):
            look, group = looks.get(one.variant, Look(GREY, "-")), groups.index(one.group)
            name = [*([one.curve.name] if len(groups) > 1 else []), one["model"], *words]
            tables = [histories[cell] for cell in one.rows["cell_id"] if cell in histories]
            for j, table in enumerate(tables):
                (line,) = ax.plot(table["step"].to_numpy(), table[metric].to_numpy(), color=look.colour, linewidth=1.0)
                line.set_label(style.plain(", ".join(name)) if j == 0 else "_nolegend_")
                marker = look.marker if len(groups) == 1 else style.MARKERS[group % len(style.MARKERS)]
                line.set(linestyle=look.line, marker=marker, markevery=0.2)
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
            look, name = look_of(i, len(drawn)), style.plain(names[curve.key])
            if panel == "crossing":
                draw_crossings(ax, curve.rows, look, end_of(table), name, (i - (len(drawn) - 1) / 2) / len(drawn))
            else:
                draw_exponents(ax, curve.rows, look, name)
        if panel == "crossing":
            set_crossings_axes(ax, table)
        else:
            set_exponents_axes(ax, exponents, inches_of(ax))
        legend_above(ax)
    return ax
