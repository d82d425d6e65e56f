"""Which cells a figure of single models shows: those named, or a few of one curve over rho."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.frames.curves import curves
from analysis.frames.gather import GatherError
from analysis.words.curves import curve_in_words

MAX_CELLS = 8


def chosen_cells(complete: pd.DataFrame, cells: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of `cells`, beginnings of ids, or without any those of `spread_over_rho`, and what to say of it.

    Raises GatherError for a name that no complete cell has, and for too many cells.
    """
    return (named(complete, cells), []) if cells else spread_over_rho(complete)


def named(complete: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """Return the rows of complete cells whose ids begin as asked; raises GatherError for none, and for too many."""
    for text in cells:
        if not complete["cell_id"].str.startswith(text).any():
            raise GatherError(f"cells: {text!r} is no complete cell of these results")
    chosen = complete[complete["cell_id"].str.startswith(tuple(cells))]
    if len(chosen) > MAX_CELLS:
        raise GatherError(f"cells: {len(chosen)} are asked for; a figure shows at most {MAX_CELLS}")
    return chosen


def spread_over_rho(complete: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return up to four rows, by rho, of one curve and one seed, and a line on the curves that are left out.

    The curve is the first of those with the most rho values, the seed the first of those with the most of them.
    """
    found = curves(complete)
    curve = max(found, key=lambda each: each.rows["rho"].nunique())
    rows = curve.rows[curve.rows["seed"] == curve.rows["seed"].mode()[0]].sort_values("rho")
    wanted = np.unique(np.linspace(0, len(rows) - 1, 4).round().astype(int))
    others = f"1 of {len(found)} curves is drawn, {curve_in_words(curve)} (choose with --datasets, --models, --cells)"
    return rows.iloc[wanted], [others] if len(found) > 1 else []
