"""What is not complete, in words: a figure says which cells it lacks, and refuses where it would have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from analysis.frames.baseline import below_baseline
from analysis.frames.curves import Curve
from analysis.frames.gather import GatherError
from analysis.words.curves import curve_in_words


def counted(states: Iterable[object]) -> str:
    """Count states in words, the most frequent first: `2 pending, 1 diverged`."""
    return ", ".join(f"{count} {state}" for state, count in Counter(states).most_common())


def missing_states(cells: pd.DataFrame) -> list[str]:
    """Return the state of each cell that has no results."""
    return [str(state) for state in cells["state"] if state != "complete"]


def require_complete(frame: pd.DataFrame) -> None:
    """Raise GatherError, which counts the others, where no cell is complete."""
    if not (frame["state"] == "complete").any():
        raise GatherError(f"nothing to plot: {len(frame)} cells, 0 complete ({counted(frame['state'])})")


def incomplete(every: Sequence[Curve]) -> list[str]:
    """Return one line per curve with cells that are not complete."""
    notes = []
    for curve in every:
        if states := missing_states(curve.rows):
            of = f"{len(states)} of {len(curve.rows)} cells are not complete ({counted(states)})"
            notes.append(f"{curve_in_words(curve)}: {of}{'' if len(curve.complete) else '; it is not drawn'}")
    return notes


def untrained(frame: pd.DataFrame) -> list[str]:
    """Return a line on the complete cells that are worse than independent pixels, if there are any."""
    worse = frame[below_baseline(frame)]
    if worse.empty:
        return []
    names = ", ".join(dict.fromkeys(f"{row['dataset']} ({row['baseline']:.2f})" for _, row in worse.iterrows()))
    return [
        f"{len(worse)} of {len(frame)} cells have an ELBO below that of independent pixels at the training mean, "
        f"{names} nats (+ in figures over rho); no critical value is read from them (rho {', '.join(_rhos(worse))})"
    ]


def _rhos(rows: pd.DataFrame, most: int = 6) -> list[str]:
    values = [f"{rho:g}" for rho in sorted(rows["rho"].unique())]
    return [*values[:most], *(["..."] if len(values) > most else [])]
