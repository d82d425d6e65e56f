from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.frames.gather import gather
from analysis.summaries.summary import COLUMNS, METRICS, summarise
from hvae_core.spec import retained_variance
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]


def test_each_statistic_is_numpys_over_the_complete_seeds(make_results: Make, tmp_path: Path) -> None:
    def state(cell: Cell) -> str:
        return "failed" if (cell.member.seed, cell.member.objective.rho) == (1, 0.5) else "complete"

    make_results(tmp_path, datasets=("mnist:embedded", "omniglot:lake"), rhos=(0.5, 0.94), seeds=(0, 1, 2), state=state)
    frame = gather([tmp_path]).frame
    summary = summarise(frame)
    assert list(summary) == list(COLUMNS)
    assert len(summary) == 4
    statistics: dict[str, Callable[[Any], Any]] = {"median": np.median, "min": np.min, "max": np.max}
    for _, row in summary.iterrows():
        same = (frame["dataset"] == row["dataset"]) & (frame["rho"] == row["rho"]) & (frame["state"] == "complete")
        cells = frame[same]
        assert row["n_seeds"] == len(cells) == (2 if row["rho"] == 0.5 else 3)
        assert row["c"] == pytest.approx(retained_variance(row["rho"], 5))
        for metric in METRICS:
            for name, statistic in statistics.items():
                values = cells[metric].astype(float) if metric in cells else [np.nan]
                np.testing.assert_equal(row[f"{metric}_{name}"], statistic(values), f"{metric} {name}")


def test_settings_are_never_averaged_over(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a", rhos=(0.5,))
    make_results(tmp_path / "b", rhos=(0.5,), objective={"ou_samples": 7})
    summary = summarise(gather([tmp_path]).frame)
    assert summary["ou_samples"].tolist() == [5, 7]
    assert summary["n_seeds"].tolist() == [1, 1]
