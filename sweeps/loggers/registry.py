"""Experiment loggers, off unless asked for: every cell that has ended becomes one run, written from the ledger.

They are called where a sweep is driven, never in the training loop, by one process at a time. A run is written once:
one that was cut off is written anew, and that of a failed cell gives way when the cell was trained again.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from hvae_core.checks import SpecError
from sweeps.ledger.ledger import Record

LOGGERS = ("tensorboard", "mlflow", "wandb")
PROJECT = "hvae-sweep"
FLOAT32_MAX = (2 - 2**-23) * 2.0**127
MLFLOW_PAGE = 50_000  # the most runs that one search may return

_FACTS = {"schema", "step", "seconds", "pack_size", "ll_examples", "test_examples"}  # numbers, but no metrics


class Logger(Protocol):
    """Where runs go."""

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run of a cell that has ended; nothing if it is there already or the cell is pending.

        `history` has rows with a `step`. Raises OSError, or an exception of the package; what was half written then
        does not count, and the cell can be logged again.
        """

    def close(self) -> None:
        """Let go of what the logger holds; raises OSError or RuntimeError."""


def check_loggers(names: Sequence[str]) -> None:
    """Raise SpecError for a name that is no logger's, or whose package is not installed."""
    for name in names:
        if name not in LOGGERS:
            raise SpecError(f"log: {name!r} is not allowed; it must be {', '.join(LOGGERS[:-1])} or {LOGGERS[-1]}")
        package = "tensorboardX" if name == "tensorboard" else name
        if importlib.util.find_spec(package) is None:
            raise SpecError(f"log: {name!r} needs the package {package}: pip install 'hvae-sweep[{name}]'")


def open_loggers(names: Sequence[str], root: Path) -> list[Logger]:
    """Open loggers by name; files go below <root>/logs/<name>. Raises SpecError, one line, if one cannot be had."""
    check_loggers(names)
    with ExitStack() as opened:
        loggers: list[Logger] = []
        for name in dict.fromkeys(names):
            try:
                logger = _OPEN[name](root.absolute() / "logs" / name)
            except Exception as error:  # whatever a package raises: the user hears of it before anything is trained
                line = next(iter(str(error).strip().splitlines()), "")[:200]
                raise SpecError(f"log: {name!r} cannot be opened: {type(error).__name__}: {line}") from error
            opened.callback(logger.close)
            loggers.append(logger)
        opened.pop_all()
    return loggers


class TensorBoard:
    """Event files, one folder per cell id: metrics, the HPARAMS tab, the configuration as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        importlib.import_module("tensorboardX")
        self._files = importlib.import_module("tensorboardX.event_file_writer")
        self._protocol = importlib.import_module("tensorboardX.proto.event_pb2")
        self._summary = importlib.import_module("tensorboardX.summary")

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError."""
        final, points, facts = self._folder / record.cell.id, _points(record, history), _facts(record)
        if _is_settled(final, record):
            return
        table = [f"| {key} | {str(value).replace('|', '&#124;')} |" for key, value in facts.items()]
        text = "\n".join(["| setting | value |", "|---|---|", *table])
        tested = [name for values in points.values() for name in values if name.startswith("test/")]
        summaries = [(0, self._summary.text("config", text))]
        summaries += [(0, summary) for summary in self._summary.hparams(facts, tested)]
        for step, values in points.items():
            kept = {name: value for name, value in values.items() if abs(value) <= FLOAT32_MAX}  # all such a file holds
            summaries += [(step, self._summary.scalar(name, value)) for name, value in kept.items()]
        with _published(final, record) as folder:
            # Not SummaryWriter: it writes from a thread, so that a full disk would go unnoticed, or be waited for.
            writer = self._files.EventsWriter(str(folder / "events"))
            for step, summary in summaries:
                writer.write_event(self._protocol.Event(wall_time=time.time(), step=step, summary=summary))
            writer.close()

    def close(self) -> None:
        """Nothing is held between two runs."""


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
        cell, outcome = record.cell, _outcome(record)
        earlier, found = self._runs.get(cell.id, ("", ""))
        if record.state == "pending" or found in ("complete", outcome):
            return
        if earlier:
            self._client.delete_run(earlier)
        tags = {"cell_id": cell.id, **_ending(record), "outcome": outcome}
        run = self._client.create_run(self._experiment, tags=tags, run_name=cell.title).info.run_id
        self._runs[cell.id] = run, ""
        params = [self._entities.Param(key, str(value)) for key, value in cell.row.items() if value is not None]
        now, points = int(time.time() * 1000), _points(record, history).items()
        metrics = [self._entities.Metric(key, value, now, step) for step, row in points for key, value in row.items()]
        self._client.log_batch(run, metrics, params, synchronous=True)
        self._client.set_terminated(run, "FINISHED" if record.state == "complete" else "FAILED")
        self._runs[cell.id] = run, outcome

    def close(self) -> None:
        """Nothing is held between two runs."""


class WandB:
    """Weights & Biases runs, always offline: whether to upload, with `wandb sync <folder>`, is the user's decision."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # its service would report its errors home, offline or not
        hooks = sys.exit, sys.excepthook
        try:
            self._wandb = importlib.import_module("wandb")
            private = {"x_disable_machine_info": True, "x_save_requirements": False}
            self._wandb.setup(self._wandb.Settings(mode="offline", silent=True, console="off", **private))
        finally:
            sys.exit, sys.excepthook = hooks  # it replaces both, only to learn the exit status

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError, or whatever wandb raises, as when its service has died."""
        cell, final = record.cell, self._folder / f"offline-run-{record.cell.id}"
        if _is_settled(final, record):
            return
        name = {"project": PROJECT, "id": cell.id, "name": cell.title, "tags": [record.state]}
        with _published(final, record) as folder:
            # create_new leaves a run alone that this process may have open for itself.
            place = {"dir": str(folder.parent), "mode": "offline", "reinit": "create_new"}
            run = self._wandb.init(**name, **place, config=_facts(record))
            try:
                for step, values in _points(record, history).items():
                    run.log(values, step=step)
                run.summary.update(_ending(record))
            finally:
                run.finish(exit_code=int(record.state != "complete"))
            for part in Path(run.dir).parent.iterdir():
                if part.name not in ("logs", "tmp"):  # its own, with links out of the results directory
                    part.rename(folder / part.name)

    def close(self) -> None:
        """End the service process of wandb; raises RuntimeError if it ended badly."""
        try:
            self._wandb.teardown()
        except SystemExit as error:  # no reason to end the sweep
            raise RuntimeError(f"the service process of wandb ended with status {error.code}") from error


_OPEN: dict[str, Callable[[Path], Logger]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def _facts(record: Record) -> dict[str, Any]:
    """Return what is known of a cell beside its metrics: id, declared settings, ending."""
    facts = {"cell_id": record.cell.id, **record.cell.row, **_ending(record)}
    return {key: value for key, value in facts.items() if value is not None}


def _ending(record: Record) -> dict[str, str]:
    """Return the state and the kind of a failure; its lines stay here, for they may hold paths."""
    return {"state": record.state} | ({"failure": str(record.failure.get("kind"))} if record.failure else {})


def _points(record: Record, history: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """Return finite numbers by step: valid/<metric> of the history, and test/<metric> of the result at the last."""
    points: dict[int, dict[str, float]] = {}
    for row in history:
        points.setdefault(int(row["step"]), {}).update(_numbers("valid", row))
    points.setdefault(record.cell.train.steps, {}).update(_numbers("test", record.result or {}))
    return {step: points[step] for step in sorted(points) if points[step]}


def _numbers(prefix: str, row: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and key not in _FACTS}
    return {f"{prefix}/{key}": float(value) for key, value in numbers.items() if math.isfinite(value)}


def _outcome(record: Record) -> str:
    """Tell how a cell ended; a later attempt at a failed one is another outcome."""
    attempt = (record.failure or {}).get("attempts", 1)
    return record.state if record.state == "complete" else f"{record.state} {attempt}"


def _is_settled(final: Path, record: Record) -> bool:
    """Whether nothing is to be written: this outcome is there, or a complete run, or the cell has not ended."""
    try:
        found = (final / "outcome.txt").read_text()
    except FileNotFoundError:
        found = ""
    return record.state == "pending" or found in ("complete", _outcome(record))


@contextmanager
def _published(final: Path, record: Record) -> Iterator[Path]:
    """Yield a folder to write a run in; whole, it takes its name, in place of the run of an earlier attempt.

    Until then it lies out of the sight of who watches the folder of runs, and is removed if writing it fails.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=final.parent.parent, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        yield folder
        (folder / "outcome.txt").write_text(_outcome(record))
        if final.exists():
            shutil.rmtree(final)
        folder.rename(final)
