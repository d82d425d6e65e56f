"""Runs of MLflow."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.ledger.ledger import Record
from sweeps.loggers.base import PROJECT, ending_of, outcome_of, points_of

MLFLOW_PAGE = 50_000  # the most runs that one search may return


class MLflow:
    """Runs of the experiment `hvae-sweep`, where MLFLOW_TRACKING_URI says, or else in files."""

    def __init__(self, folder: Path) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read on import
        # MLflow no longer develops its store of plain files and wants to hear that it is meant. It is: the other
        # local store is SQLite, which network file systems damage, and the slim package does not have it.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow = importlib.import_module("mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        self._client = mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or folder.as_uri())
        experiment = self._client.get_experiment_by_name(PROJECT)
        self._experiment = experiment.experiment_id if experiment else self._client.create_experiment(PROJECT)
        self._runs: dict[str, tuple[str, str]] = {}  # cell id: run, outcome; a search for every cell would be slow
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=MLFLOW_PAGE, page_token=token)
            for run in page:
                outcome = run.data.tags.get("outcome", "") if run.info.status in ("FINISHED", "FAILED") else ""
                self._runs[run.data.tags.get("cell_id", "")] = run.info.run_id, outcome
            token = page.token
            if not token:
                break

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError or MlflowException."""
        cell, outcome = record.cell, outcome_of(record)
        earlier, found = self._runs.get(cell.id, ("", ""))
        if record.state == "pending" or found in ("complete", outcome):
            return
        if earlier:
            self._client.delete_run(earlier)
        tags = {"cell_id": cell.id, **ending_of(record), "outcome": outcome}
        run = self._client.create_run(self._experiment, tags=tags, run_name=cell.title).info.run_id
        self._runs[cell.id] = run, ""
        params = [self._entities.Param(key, str(value)) for key, value in cell.row.items() if value is not None]
        now, points = int(time.time() * 1000), points_of(record, history).items()
        metrics = [self._entities.Metric(key, value, now, step) for step, row in points for key, value in row.items()]
        self._client.log_batch(run, metrics, params, synchronous=True)
        self._client.set_terminated(run, "FINISHED" if record.state == "complete" else "FAILED")
        self._runs[cell.id] = run, outcome

    def close(self) -> None:
        """Nothing is held between two runs."""
