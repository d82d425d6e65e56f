"""Which cells of a gathered frame a figure is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.frames.gather import GatherError
from hvae_core.checks import number


def keep_only(
    frame: pd.DataFrame, datasets: Sequence[str], models: Sequence[str], rhos: Sequence[float] = ()
) -> pd.DataFrame:
    """Keep the rows of these data sets (`name` or `name:source`), models and rho values; an empty list keeps all.

    Raises GatherError for a name or value that no row goes by.
    """
    frame = _only(frame, "datasets", datasets, lambda row: (row["dataset"], f"{row['dataset']}:{row['source']}"))
    frame = _only(frame, "models", models, lambda row: (row["model"],))
    return _only(frame, "rho", [f"{number(rho):.12g}" for rho in rhos], lambda row: (f"{row['rho']:.12g}",))


def _only(
    frame: pd.DataFrame, option: str, wanted: Sequence[str], names: Callable[[pd.Series], tuple[str, ...]]
) -> pd.DataFrame:
    if not wanted:
        return frame
    by_row = [names(row) for _, row in frame.iterrows()]
    there = dict.fromkeys(each[-1] for each in by_row)
    for name in wanted:
        if not any(name in each for each in by_row):
            raise GatherError(f"{option}: {name!r} is not in these results, which hold {', '.join(there)}")
    return frame[[bool(set(each) & set(wanted)) for each in by_row]]
