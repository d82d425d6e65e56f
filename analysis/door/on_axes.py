"""Figures from Python, each on axes of your own: `frame, ax=None -> Axes`.

    import analysis
    frame = analysis.read("results/")
    ax = analysis.transition(frame)                       # top KL over rho, with critical values
    ax = analysis.transition(frame, "elbo", ax=axes[1])   # or active, share, information

Without ax a new figure of one column's width is made, which pyplot does not know; `ax.figure.savefig(...)` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import style
from analysis.axes.legend import critical_in_words
from analysis.axes.rho_axis import set_rho_axis
from analysis.critical.table import critical_table
from analysis.frames.baseline import blown_up_apart
from analysis.frames.configurations import configurations
from analysis.frames.curves import curves
from analysis.frames.matched_beta import on_rho_axis
from analysis.phase.transition_curves import draw_critical, draw_curve, draw_seeds, looks_of
from analysis.phase.transition_panels import ALONE, NAMES
from analysis.summaries.depth_width import active_units
from analysis.summaries.summary import summarise
from analysis.words.curves import apart_in_words
from analysis.words.methods import words_of


def transition(frame: pd.DataFrame, panel: str = "kl", ax: Axes | None = None) -> Axes:
    """Draw a quantity of the top layer over rho: kl, active, share, information, or the test ELBO of the whole model.

    The line is the median over seeds, the band their range; the top KL has its critical values, said in the legend.
    Raises ValueError for another panel, and where no cell has it.
    """
    if panel not in NAMES:
        raise ValueError(f"panel: {panel!r} is not allowed; it must be {', '.join(NAMES)}")
    metric, trained = NAMES[panel], blown_up_apart(on_rho_axis(frame))
    drawn = [curve for curve in curves(trained) if len(curve.complete)]
    if not drawn or metric not in trained or trained[metric].isna().all():
        raise ValueError(f"nothing to draw: no complete cell has {metric}")
    rows = {curve.key: curve.rows for curve in curves(summarise(trained))}
    critical = {curve.key: curve.rows.iloc[0] for curve in curves(critical_table(trained))}
    looks = looks_of(drawn)
    with style.paper_style():
        ax = _axes(ax)
        for curve, words in zip(drawn, apart_in_words(drawn), strict=True):
            look, before = looks[curve.key], len(ax.lines)
            draw_seeds({metric: ax}, curve.complete, look)
            draw_curve({metric: ax}, rows[curve.key], look)
            (line,) = [line for line in ax.lines[before:] if line.get_gid() == "median"]
            name = list(map(style.plain, words))
            if metric == "kl_top" and not look.behind:
                draw_critical(ax, critical[curve.key], look)
                name.append(critical_in_words({str(n): v for n, v in critical[curve.key].items()}))
            line.set_label(", ".join(name))
        rhos = sorted({float(rho) for curve in drawn for rho in curve.rows["rho"]})
        set_rho_axis([ax], rhos, ax.get_window_extent().width / ax.get_figure(root=True).dpi, "auto")  # type: ignore[union-attr]
        ax.set(xlabel="OU correlation ρ", ylabel=ALONE[metric])
        _legend(ax)
    return ax


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
        ax = _axes(ax)
        for i, (one, words) in enumerate(zip(found, words_of(found), strict=True)):
            tables = [histories[cell] for cell in one.rows["cell_id"] if cell in histories]
            for j, table in enumerate(tables):
                label = style.plain(", ".join([one["model"], *words])) if j == 0 else "_nolegend_"
                line = ax.plot(table["step"].to_numpy(), table[metric].to_numpy(), label=label, color=style.colour(i))[
                    0
                ]
                line.set(linestyle=style.LINES[i % len(style.LINES)], linewidth=1.0)
        ax.set(xlabel="optimiser steps", ylabel="validation ELBO (nats)" if metric == "elbo" else ALONE[metric])
        _legend(ax)
    return ax


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
        ax = _axes(ax)
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


def _legend(ax: Axes) -> None:
    """Stand above the axes, where no curve is."""
    legend = ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.02),
        borderaxespad=0,
        alignment="left",
        frameon=False,
        fontsize=style.SMALL_POINTS,
    )
    legend.set_gid("legend")


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    figure = style.new_figure(style.COLUMN_INCHES, 2.4)
    figure.set_layout_engine("constrained")
    return figure.subplots()
