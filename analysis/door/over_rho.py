"""What is drawn over rho, on axes of one's own: the top layer, and what a layer knows about the image."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.axes import style
from analysis.axes.legend import critical_in_words
from analysis.axes.rho_axis import set_rho_axis
from analysis.critical.table import critical_table
from analysis.door.own_axes import axes_of, inches_of, legend_above
from analysis.figures.information import KNOWN, NOISE, OPEN, draw_layer
from analysis.frames.curves import curves
from analysis.frames.over_rho import over_rho
from analysis.phase.transition_curves import draw_critical, draw_curve, draw_seeds, looks_of
from analysis.phase.transition_panels import ALONE, NAMES
from analysis.summaries.information import evaluated, information_table
from analysis.summaries.summary import summarise
from analysis.words.curves import apart_in_words, curve_in_words


def transition(frame: pd.DataFrame, panel: str = "kl", ax: Axes | None = None) -> Axes:
    """Draw a quantity of the top layer over rho: kl, active, share, information, or the test ELBO of the whole model.

    The line is the median over seeds, the band their range; the top KL has its critical values, said in the legend.
    Raises ValueError for another panel, and where no cell has it.
    """
    if panel not in NAMES:
        raise ValueError(f"panel: {panel!r} is not allowed; it must be {', '.join(NAMES)}")
    metric, trained = NAMES[panel], over_rho(frame)
    drawn = [curve for curve in curves(trained) if len(curve.complete)]
    if not drawn or metric not in trained or trained[metric].isna().all():
        raise ValueError(f"nothing to draw: no complete cell has {metric}")
    rows = {curve.key: curve.rows for curve in curves(summarise(trained))}
    critical = {curve.key: curve.rows.iloc[0] for curve in curves(critical_table(trained))}
    looks = looks_of(drawn)
    with style.paper_style():
        ax = axes_of(ax)
        for place, (curve, words) in enumerate(zip(drawn, apart_in_words(drawn), strict=True)):
            look, before = looks[curve.key], len(ax.lines)
            draw_seeds({metric: ax}, curve.complete, look)
            draw_curve({metric: ax}, rows[curve.key], look)
            (line,) = [line for line in ax.lines[before:] if line.get_gid() == "median"]
            name = list(map(style.plain, words))
            if metric == "kl_top" and not look.behind:
                draw_critical(ax, critical[curve.key], look, place)
                name.append(critical_in_words({str(n): v for n, v in critical[curve.key].items()}))
            line.set_label(", ".join(name))
        rhos = sorted({float(rho) for curve in drawn for rho in curve.rows["rho"]})
        set_rho_axis([ax], rhos, inches_of(ax))
        ax.set(xlabel="OU correlation ρ", ylabel=ALONE[metric])
        legend_above(ax)
    return ax


def information(frame: pd.DataFrame, layer: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw of the first curve's layer, the top one if none is given, which part of its KL is about the image.

    The line is KL_i + .. + KL_L, medians over seeds. Choose a curve by the rows of the frame. Raises ValueError where
    `hvae-sweep evaluate --what information` was not run, and for a layer that the model does not have.
    """
    known = [curve for curve in curves(over_rho(frame)) if len(evaluated(curve))]
    if not known:
        raise ValueError("nothing to draw: no cell has information; hvae-sweep evaluate RESULTS --what information")
    depth = known[0].model.depth
    layer = depth if layer is None else layer
    if layer not in range(1, depth + 1):
        raise ValueError(f"layer: {layer!r} is not allowed; it must be from 1 to {depth}")
    table = information_table(known[:1])
    with style.paper_style():
        ax = axes_of(ax)
        draw_layer(ax, table[table["layer"] == layer])
        set_rho_axis([ax], [float(rho) for rho in table["rho"].unique()], inches_of(ax))
        ax.set(xlabel="OU correlation ρ", ylabel=f"layer {layer} of {depth} (nats)")
        handles = [Line2D([], [], color="0.1", marker="o"), *(Patch(facecolor=c) for c in (KNOWN, OPEN, NOISE))]
        names = ["KL of this layer and those above", "about the image, at least", "undecided", "noise, at least"]
        for handle, name in zip(handles, names, strict=True):
            handle.set_label(name)
        legend_above(ax, handles, style.plain(curve_in_words(known[0])))
    return ax
