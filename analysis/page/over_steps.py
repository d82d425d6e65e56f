"""What the page charts over the steps of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.colors import to_hex

from analysis.axes import style
from analysis.frames.configurations import Configuration, configurations
from analysis.page.chart import (
    MOST_CURVES,
    Chart,
    entry_of,
    figure_of,
    left_out,
    look_of,
    numbers_of,
    place_of,
    records_of,
    safe,
    spread,
)
from analysis.words.methods import words_of

MOST_SHOWN = 6  # curves of each data set and model, at first


def training(frame: pd.DataFrame, histories: Mapping[str, pd.DataFrame]) -> Chart | None:
    """Chart validation ELBO and top KL over the steps of every cell that was evaluated more than once.

    Many rho values run from light to dark, and a few of them are shown at first.
    """
    histories = {cell: table for cell, table in histories.items() if len(table) > 1}
    found = [one for one in configurations(frame) if any(cell in histories for cell in one.rows["cell_id"])]
    if not found:
        return None
    metrics = {"elbo": "validation ELBO (nats)", "kl_top": "top-layer KL (nats)"}
    chart = Chart(
        "training", "Training", figure_of(list(metrics), "optimiser steps", metrics), notes=left_out(len(found))
    )
    shown, groups = spread(found, MOST_CURVES), list(dict.fromkeys(one.group for one in found))
    rhos, first = sorted({one.rho for one in shown}), _shown_at_first(shown)
    if len(first) < len(shown):
        chart.notes.append(f"{len(first)} of {len(shown)} curves are shown at first; the boxes show the others")
    for i, (one, words) in enumerate(zip(shown, words_of(shown), strict=True)):
        name, traces = ", ".join([one.curve.name, one["model"], *words]), []
        look = look_of(i) if len(rhos) <= MOST_SHOWN else look_of(groups.index(one.group), _shade(one.rho, rhos))
        for cell in records_of(one.rows):
            table = histories.get(cell["cell_id"])
            if table is None:
                continue
            for panel, metric in enumerate(metrics):
                label = f"{safe(name)}<br>seed {cell['seed']}, cell {safe(cell['cell_id'])}"
                traces.append(len(chart.figure["data"]))
                chart.figure["data"].append(
                    {
                        **{"x": [int(step) for step in table["step"]], "y": numbers_of(table[metric])},
                        **{**look, **place_of(panel), "name": safe(name), "mode": "lines+markers"},
                        **{"marker": {**look["marker"], "size": 6, "maxdisplayed": 8}, "visible": one.key in first},
                        "hovertemplate": f"step %{{x}}: %{{y:.3f}}<br>{label}<extra></extra>",
                    }
                )
        chart.entries.append(entry_of(look, name, traces, one.key in first))
    return chart


def _shade(rho: float, rhos: Sequence[float]) -> str:
    """Return the colour of a rho value on a scale from light to dark."""
    return to_hex(style.sequential(rhos.index(rho) / (len(rhos) - 1)))


def _shown_at_first(found: Sequence[Configuration]) -> set[Any]:
    """Name a few curves of each data set and model: the unsmoothed one, and others spread over rho."""
    groups: dict[Any, list[Configuration]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    return {one.key for group in groups.values() for one in spread(group, MOST_SHOWN)}
