"""From results directories to figures: gather -> tidy frame -> summary frame -> figure, and the csv behind it.

From Python: `read` and `read_histories` give frames, the functions of DRAWN draw them on axes.

Nothing here loads torch or ray (`samples` alone loads torch, when it lets models draw), only command.py loads click,
and nothing is unpickled: a results directory may come from someone else.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DRAWN = {
    **dict.fromkeys(("transition", "information"), "over_rho"),
    **dict.fromkeys(("training", "drift"), "over_steps"),
    **dict.fromkeys(("collapse", "scaling"), "over_sizes"),
    "calibration": "against_exact",
}
"""Figures as functions `frame, ax=None -> Axes`, by the file of analysis/door that holds them."""


def read(*directories: Path | str) -> pd.DataFrame:
    """Return one row for each cell of results directories, with the columns of results.csv (docs/reference.md).

    What was left out, and why, is in `frame.attrs["notes"]`. Raises GatherError for a path that holds no results.
    """
    from analysis.frames.gather import gather

    found = gather([Path(directory) for directory in directories])
    frame: pd.DataFrame = found.frame
    frame.attrs["notes"] = found.notes
    return frame


def read_histories(*directories: Path | str) -> dict[str, pd.DataFrame]:
    """Return by cell id the evaluations on validation images while it was trained: step, elbo and kl_top."""
    from analysis.frames.histories import histories

    paths = [Path(directory) for directory in directories]
    return histories(paths, read(*paths))[0]


def __getattr__(name: str) -> Any:
    """Load what draws when it is first used: matplotlib is large."""
    if name in DRAWN:
        return getattr(import_module(f"analysis.door.{DRAWN[name]}"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
