"""Packs through Ray Tune, one trial each. The only module that imports ray.

Ray schedules, isolates GPUs and restarts what died; it decides nothing about what is complete: that is read from the
ledger. Each run is a fresh Tune experiment under runs/, which may be deleted at any time.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hvae_core.checks import SpecError
from hvae_core.data import DataError
from sweeps.ledger.claims import holder_of
from sweeps.ledger.ledger import Ledger, LedgerError, Pack
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.resources import Resources, usable_cpus
from sweeps.running.nodes import differences, leave_marker, look, own_versions
from sweeps.running.pack import LAST_LINES, run_pack
from sweeps.running.ray_folder import ray_folder
from sweeps.running.stop_request import DRIVER_SIGNALS, StopRequest

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints even when told not to
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a GPU sees none
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our records are the ledger's
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",  # checked before anything starts
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
import torch  # noqa: E402
from ray import tune  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

RAY_DIED = "Ray died under this run; run the same command again to resume"
LOOK_SECONDS = 5.0  # between looks at whether Ray still lives
NODE_SECONDS = 90.0  # for a node to start a process and answer
DRAIN_SECONDS = 12.0  # workers get this long to write their checkpoints after a signal
OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray takes: nothing large goes through it


@dataclass
class RunReport:
    """How a run ended, beside what the ledger says: the machine's troubles, and whether --fail-fast stopped it."""

    troubles: list[str] = field(default_factory=list)
    failed_fast: bool = False


@contextmanager
def engine(address: str, folder: Path, note: Callable[[str], None]) -> Iterator[StopRequest]:
    """Start or join Ray for the time of the context, and take the signals meanwhile.

    The driver stands in a folder of our own meanwhile: Ray puts its working directory first on the workers' module
    path, where a user's own `sweeps/` or `analysis/` would shadow ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    here = Path.cwd()
    os.chdir(folder)
    stop = StopRequest(folder / "stop", DRIVER_SIGNALS, hurried=True)
    # Ray prints about dead workers on the standard output, which is for data.
    with stop, redirect_stdout(sys.stderr), ExitStack() as leave:
        leave.callback(os.chdir, here)
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == "local":
            options |= {
                "_temp_dir": leave.enter_context(ray_folder(note)),
                "num_cpus": usable_cpus(),
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        elif address != "auto":
            _reach(address)
        leave.callback(ray.shutdown)
        try:
            ray.init(address=address, **options)
        except Exception as error:  # ray raises bare ones where its own processes die under it
            first = (str(error).splitlines() or ["no reason given"])[0]
            if address == "local":
                raise OSError(f"Ray did not start: {first}; run the same command again") from error
            raise SpecError(f"address: {address!r} cannot be used: {first}") from error
        stop.install()
        yield stop


def _reach(address: str) -> None:
    """Raise SpecError unless something listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SpecError(f"address: {address!r} is not allowed; it must be local, auto or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise SpecError(f"address: {address!r} cannot be reached: {error.strerror or error}") from error


def check_nodes(root: Path, folder: Path) -> None:
    """Raise SpecError unless every node that can train sees the folder of this run and has this machine's versions."""
    token = leave_marker(folder)
    remote_look = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = []
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU"):
            address = node["NodeManagerAddress"]
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append((address, remote_look.options(scheduling_strategy=there).remote(str(folder), address)))
    found = []
    for address, answer in asked:
        try:
            found.append(ray.get(answer, timeout=NODE_SECONDS))
        except Exception as error:  # ray raises many kinds; each means that the node cannot run us
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise SpecError(f"address: node {address} cannot run hvae-sweep: {reason}") from error
    lines = differences(root, token, own_versions(), found)
    if lines:
        raise SpecError(f"address: {'; '.join(lines)}")


def resources(gpus_per_trial: float | None, cpus_per_trial: int, note: Callable[[str], None]) -> Resources:
    """Match what a trial should have with what the started Ray has.

    None asks for one GPU where there is one. GPUs asked for where there are none fall back to the CPU with a note.
    Raises SpecError for what can never be met, which Ray would wait for without end.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in ("CPU", "GPU"))
    wanted = gpus_per_trial if gpus_per_trial is not None else float(gpus >= 1)
    if wanted and not gpus:
        note(f"no GPU here: --gpus-per-trial {wanted:g} falls back to the CPU, one core for each trial")
        wanted = 0.0
    if wanted > gpus:
        raise SpecError(f"gpus-per-trial: {wanted:g} is not allowed; the largest node has {gpus:g}")
    if cpus_per_trial > cpus:
        raise SpecError(f"cpus-per-trial: {cpus_per_trial} is not allowed; the largest node has {cpus:g}")
    slots = 0
    for node in nodes:
        fits = node.get("CPU", 0.0) // cpus_per_trial
        slots += int(min(fits, node.get("GPU", 0.0) // wanted) if wanted else fits)
    return Resources(cpus_per_trial, wanted, max(slots, 1))


def trial(config: dict[str, Any]) -> None:
    """Run one pack inside a Ray worker, whose process may have run another before."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    options = PackOptions.read(config["options"])
    warnings.simplefilter("ignore")  # workers' stderr is nobody's; troubles travel as reports
    pack, stop, notes = Pack(tuple(config["cells"])), StopRequest(Path(config["stop_file"])), list[str]()
    try:
        outcome: str = run_pack(options, pack, stop, notes.append)
    except (OSError, DataError, LedgerError, SpecError) as error:
        outcome = "trouble"
        notes.append(f"error: {type(error).__name__} under {options.root}: {' '.join(str(error).split())}")
    tune.report({"outcome": outcome, "notes": notes})


class _Watch(tune.Callback):  # type: ignore[misc]
    """Follows the trials: notes troubles, records cells of trials that died for good, ends a run that has to stop."""

    def __init__(self, root: str, report: RunReport, stop: StopRequest, fail_fast: bool) -> None:
        self.ledger, self.report, self.stop, self.fail_fast = Ledger(Path(root)), report, stop, fail_fast
        self.stop_since: float | None = None
        self.looked = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.report.troubles.extend(result.get("notes", []))
        if result.get("outcome") == "failed":
            self._failed()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if not _ray_lives():
            self.report.troubles.append(RAY_DIED)
            return  # the machine's trouble: the cells stay pending
        error = trial.get_pickled_error() or trial.get_error()
        lines = [line for line in str(error or "").splitlines() if line.strip()][-LAST_LINES:]
        for cell in trial.config["cells"]:
            if self.ledger.state(cell) == "pending":
                self.ledger.fail(cell, "lost", lines or ["the worker process died each time"])
        self._failed()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        now = time.monotonic()
        if self.stop.signal is not None or self.report.failed_fast:
            self.stop_since = self.stop_since or now
            packs = [self.ledger.pack_path(Pack(tuple(t.config["cells"])).id) for t in trials]
            drained = not any(holder_of(pack / "claim") for pack in packs)
            if drained or now - self.stop_since > DRAIN_SECONDS:
                _end_tune()
        elif now - self.looked > LOOK_SECONDS:
            self.looked = now
            if not _ray_lives():  # Tune would wait for it without end
                self.report.troubles.append(RAY_DIED)
                _end_tune()

    def _failed(self) -> None:
        if self.fail_fast:
            self.report.failed_fast = True
            self.stop.make()


def _end_tune() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)  # Tune's own sign to end its loop


def _ray_lives() -> bool:
    """Whether any node of this Ray still answers."""
    try:
        return any(node["Alive"] for node in ray.nodes())
    except Exception:  # ray raises many kinds when its head is gone; each means the same
        return False


def run_packs(
    options: PackOptions,
    packs: Sequence[Pack],
    resources: Resources,
    folder: Path,
    stop: StopRequest,
    max_failures: int,
    fail_fast: bool,
) -> RunReport:
    """Run every pack as a trial of a Ray Tune experiment in `folder`, inside `engine`; blocks until all have ended.

    A dead worker's trial is started again up to max_failures times and continues from the pack's own checkpoint.
    A signal, and with fail_fast the first failed cell, let the workers write a checkpoint and end the run.
    """
    report = RunReport()
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": resources.cpus, "gpu": resources.gpus}),
        param_space={
            "options": asdict(options),
            "stop_file": str(stop.file),
            "cells": tune.grid_search([list(pack.cells) for pack in packs]),
        },
        tune_config=tune.TuneConfig(
            reuse_actors=True,  # a fresh process for each trial costs seconds, most of them loading torch
            trial_dirname_creator=lambda t: Pack(tuple(t.config["cells"])).id,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            verbose=0,
            callbacks=[_Watch(options.root, report, stop, fail_fast)],
            failure_config=tune.FailureConfig(max_failures=0 if fail_fast else max_failures),
        ),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tuner.fit()
    except tune.TuneError as error:
        report.troubles.append(str(error).splitlines()[0])
    return report
