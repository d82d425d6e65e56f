"""A trajectory: validation ELBO and top KL over training, over the seeds of a configuration that end together.

Seeds end together if they are in the same state and were measured last at the same step. Only those are averaged:
a median that loses a seed half way would jump where nothing happened. Between its evaluations a seed is taken to be
linear, as it is drawn, so that seeds measured at different steps have a median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.configurations import Configuration
from analysis.frames.histories import METRICS
from analysis.words.settings import conditions

STATISTICS = ("median", "low", "high")
COLUMNS = (
    *("dataset", "source", "checksum", "binarise", "model", "method", "rho", "conditions", "state", "seeds"),
    *("step", "n_seeds", *(f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS)),
)
LEAST = 2  # evaluations that make a curve


@dataclass(frozen=True)
class Trajectory:
    """Seeds of one configuration that end together.

    `table` has a row per step: step and, for elbo and kl_top, median, low and high in nats per example. `main` is
    the one trajectory of its configuration that got furthest, complete before any other.
    """

    configuration: Configuration
    state: str
    seeds: tuple[int, ...]
    table: pd.DataFrame
    main: bool

    @property
    def complete(self) -> bool:
        """Whether its cells have results; else its curve is a part of one."""
        return self.state == "complete"

    @property
    def last(self) -> int:
        """Step of its last evaluation."""
        return int(self.table["step"].iloc[-1])


def trajectories(configuration: Configuration, known: Mapping[str, pd.DataFrame]) -> list[Trajectory]:
    """Return the trajectories of a configuration, the main one first; `known` holds histories by cell id."""
    cells = configuration.rows[[len(known.get(cell_id, ())) >= LEAST for cell_id in configuration.rows["cell_id"]]]
    ends = [int(known[cell_id]["step"].iloc[-1]) for cell_id in cells["cell_id"]]
    groups = cells.assign(end=ends).sort_values("seed").groupby(["state", "end"])
    found = [
        (str(key[0]), tuple(map(int, rows["seed"])), _over_seeds([known[cell_id] for cell_id in rows["cell_id"]]))
        for key, rows in groups
    ]
    found.sort(key=lambda each: (each[0] == "complete", each[2]["step"].iloc[-1]), reverse=True)
    return [Trajectory(configuration, *each, main=i == 0) for i, each in enumerate(found)]


def tabulate(drawn: Sequence[Trajectory]) -> pd.DataFrame:
    """Return the numbers behind the figure: one row (COLUMNS) per trajectory and step, in nats per example."""
    parts = []
    for each in drawn:
        one = each.configuration
        facts: dict[str, Any] = {
            **{name: one[name] for name in ("dataset", "source", "checksum", "binarise", "model")},
            **{"method": str(one.rows["method"].iloc[0]), "rho": one.rho},
            "conditions": conditions(one.curve),
            **{"state": each.state, "seeds": " ".join(map(str, each.seeds)), "n_seeds": len(each.seeds)},
        }
        parts.append(each.table.assign(**facts)[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _over_seeds(seeds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Median, smallest and largest over seeds, at each step at which one of them was measured and all are known."""
    steps = np.unique(np.concatenate([seed["step"] for seed in seeds]))
    steps = steps[steps >= max(seed["step"].iloc[0] for seed in seeds)]
    table = {"step": steps}
    for metric in METRICS:
        values = np.array([np.interp(steps, seed["step"], seed[metric]) for seed in seeds])  # (S, T)
        over = zip(STATISTICS, (np.median(values, axis=0), values.min(axis=0), values.max(axis=0)), strict=True)
        table |= {f"{metric}_{name}": each for name, each in over}
    return pd.DataFrame(table)
