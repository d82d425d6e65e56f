"""Experiment loggers, off unless asked for: every cell that has ended becomes one run, written from the ledger.

They are called where a sweep is driven, never in the training loop, by one process at a time. A run is written once:
one that was cut off is written anew, and that of a failed cell gives way when the cell was trained again.
"""

from __future__ import annotations

import importlib
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

from hvae_core.spec import SpecError
from sweeps.cell import Cell
from sweeps.ledger import Record

LOGGERS = ("tensorboard", "mlflow", "wandb")
PROJECT = "hvae-sweep"
FLOAT32_MAX = (2 - 2**-23) * 2.0**127
MLFLOW_BATCH = 1000  # the most metrics that one request may hold
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


def open_loggers(names: Sequence[str], root: Path) -> list[Logger]:
    """Open loggers by name; files go below <root>/logs/<name>. Raises SpecError, one line, if one cannot be had."""
    with ExitStack() as opened:
        loggers: list[Logger] = []
        for name in dict.fromkeys(names):
            if name not in LOGGERS:
                raise SpecError(f"log: {name!r} is not allowed; it must be {', '.join(LOGGERS[:-1])} or {LOGGERS[-1]}")
            package = "tensorboardX" if name == "tensorboard" else name
            try:
                logger = _OPEN[name](root.absolute() / "logs" / name)
            except Exception as error:  # whatever a package raises: the user hears of it before anything is trained
                if isinstance(error, ModuleNotFoundError) and error.name == package:
                    advice = f"needs the package {package}: pip install 'hvae-sweep[{name}]'"
                    raise SpecError(f"log: {name!r} {advice}") from error
                line = next(iter(str(error).splitlines()), "")[:200]
                raise SpecError(f"log: {name!r} cannot be opened: {type(error).__name__}: {line}") from error
            opened.callback(logger.close)
            loggers.append(logger)
        opened.pop_all()
    return loggers


class TensorBoard:
    """Event files, one folder per cell id: metrics, the HPARAMS tab, the configuration as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = importlib.import_module("tensorboardX").SummaryWriter
        self._hparams = importlib.import_module("tensorboardX.summary").hparams

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError."""
        final, points, facts = self._folder / record.cell.id, _points(record, history), _facts(record)
        if _is_settled(final, record):
            return
        table = [f"| {key} | {str(value).replace('|', '&#124;')} |" for key, value in facts.items()]
        with _scratch(final) as scratch:
            # An unbounded queue: should the writer's thread die of a full disk, adding must not wait for it for ever.
            with self._writer(str(scratch / "run"), max_queue=0) as writer:
                writer.add_text("config", "\n".join(["| setting | value |", "|---|---|", *table]), 0)
                for summary in self._hparams(
                    facts, [n for n in points.get(record.cell.train.steps, ()) if "test" in n]
                ):
                    writer.file_writer.add_summary(summary)
                for step, values in points.items():
                    for name, value in values.items():
                        if abs(value) <= FLOAT32_MAX:  # what an event file holds: beyond it would be an infinity
                            writer.add_scalar(name, value, step)
            _publish(scratch / "run", final, record)

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
        failure = {"failure": str((record.failure or {}).get("kind"))} if record.result is None else {}
        tags = {"cell_id": cell.id, "state": record.state, "outcome": outcome, **failure}
        run = self._client.create_run(self._experiment, tags=tags, run_name=_name(cell)).info.run_id
        self._runs[cell.id] = run, ""
        params = [self._entities.Param(key, str(value)) for key, value in cell.row.items() if value is not None]
        self._client.log_batch(run, params=params)
        now = int(time.time() * 1000)
        points = _points(record, history).items()
        metrics = [self._entities.Metric(key, value, now, step) for step, row in points for key, value in row.items()]
        for start in range(0, len(metrics), MLFLOW_BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + MLFLOW_BATCH])
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
            settings = {"mode": "offline", "silent": True, "console": "off", "symlink": False, "use_dot_wandb": False}
            private = {"x_disable_machine_info": True, "x_save_requirements": False, "label_disable": True}
            self._wandb.setup(self._wandb.Settings(**settings, **private, disable_git=True, disable_code=True))
        finally:
            sys.exit, sys.excepthook = hooks  # it replaces both, only to learn the exit status

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError or wandb.Error."""
        cell, final = record.cell, self._folder / f"offline-run-{record.cell.id}"
        if _is_settled(final, record):
            return
        with _scratch(final) as scratch:
            # create_new leaves a run alone that this process may have open for itself.
            names = {"project": PROJECT, "id": cell.id, "name": _name(cell), "tags": [record.state]}
            run = self._wandb.init(
                **names, dir=str(scratch), config=_facts(record), mode="offline", reinit="create_new"
            )
            try:
                for step, values in _points(record, history).items():
                    run.log(values, step=step)
                run.summary.update({k: v for k, v in _facts(record).items() if k in ("state", "failure")})
            finally:
                run.finish(exit_code=int(record.state != "complete"))
            _publish(Path(run.dir).parent, final, record)

    def close(self) -> None:
        """End the service process of wandb; raises RuntimeError if it ended badly."""
        try:
            self._wandb.teardown()
        except SystemExit as error:  # no reason to end the sweep
            raise RuntimeError(f"the service process of wandb ended with status {error.code}") from error


_OPEN: dict[str, Callable[[Path], Logger]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def _name(cell: Cell) -> str:
    rho, seed = cell.member.objective.rho, cell.member.seed
    return f"{cell.dataset}:{cell.source} {cell.model.name} rho {rho:g} seed {seed}"


def _facts(record: Record) -> dict[str, Any]:
    """Return what is known of a cell beside its metrics: declared settings, state, kind of failure."""
    failure = None if record.result is not None else (record.failure or {}).get("kind")
    facts = {**record.cell.row, "cell_id": record.cell.id, "state": record.state, "failure": failure}
    return {key: value for key, value in facts.items() if value is not None}


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
def _scratch(final: Path) -> Iterator[Path]:
    """Make a folder in which a run is written before it takes its name: out of the sight of who watches the runs."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=final.parent.parent, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _publish(run: Path, final: Path, record: Record) -> None:
    """Give a run that is whole its name, in place of one of an earlier attempt."""
    (run / "outcome.txt").write_text(_outcome(record))
    if final.exists():
        shutil.rmtree(final)
    run.rename(final)
