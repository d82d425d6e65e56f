"""Loggers, with the real packages: what was written is read back by other means than those that wrote it."""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger, Record
from sweeps.loggers import registry as module
from sweeps.loggers.base import Logger
from sweeps.loggers.registry import LOGGERS, open_loggers
from sweeps.loggers.tensorboard import FLOAT32_MAX

PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
NAN, INFINITY = float("nan"), float("inf")
HISTORY = [{"step": 6, "elbo": -12.5, "au_top": 2}, {"step": 12, "elbo": -9.75, "au_top": 3}]
Result = Callable[..., dict[str, Any]]


@dataclass
class Run:
    """A run as it was read back: numbers by step, settings as text, whether it counts as finished, its tags."""

    points: dict[int, dict[str, float]]
    config: dict[str, str]
    finished: bool
    facts: dict[str, str]


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside, none left behind, and no socket that leads away from here."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert ipaddress.ip_address(address[0]).is_loopback, f"a connection to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    with patch.dict(os.environ):
        for name in list(os.environ):
            if name.startswith(("MLFLOW_", "WANDB_")):
                del os.environ[name]
        yield


@pytest.fixture(params=LOGGERS)
def name(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(PACKAGES[request.param])
    return str(request.param)


@pytest.fixture
def open_logger(name: str, tmp_path: Path) -> Iterator[Callable[[], Logger]]:
    """Open the logger as another process would."""
    with ExitStack() as opened:

        def make() -> Logger:
            (logger,) = open_loggers([name], tmp_path)
            opened.callback(logger.close)
            return logger

        yield make


@pytest.fixture
def complete(cell: Cell, result: Result) -> Record:
    return Record(cell, "complete", {"schema": 1, "cell_id": cell.id, **result(ll_100_se=None)}, None)


@pytest.fixture
def diverged(cell: Cell) -> Record:
    failure = {"kind": "diverged", "step": 7, "lines": ["/a/path: the loss was not finite"], "attempts": 1}
    return Record(cell, "diverged", None, failure)


def read(name: str, root: Path) -> dict[str, Run]:
    """Every run of a logger, by cell id."""
    found = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}[name](root / "logs" / name)
    runs = dict(found)
    assert len(runs) == len(found)
    assert [path.name for path in (root / "logs").iterdir()] == [name]  # nothing half written is left
    return runs


def read_tensorboard(folder: Path) -> list[tuple[str, Run]]:
    event_file = importlib.import_module("tensorboardX.proto.event_pb2")
    hparams = importlib.import_module("tensorboardX.proto.plugin_hparams_pb2")
    runs = []
    for path in folder.rglob("*tfevents*"):
        data, events = path.read_bytes(), []
        while data:  # length, its checksum, one event, its checksum
            (length,) = struct.unpack_from("<Q", data)
            events.append(event_file.Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
        points: dict[int, dict[str, float]] = {}
        facts: dict[str, str] = {}
        tables: dict[str, str] = {}
        for event in events:
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "text":
                    (text,) = value.tensor.string_val
                    rows = [line.strip("| ").split(" | ") for line in text.decode().splitlines()[2:]]
                    tables.update((key, entry) for key, entry in rows)
                elif value.metadata.plugin_data.plugin_name == "hparams":
                    content = hparams.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                    for key, entry in content.session_start_info.hparams.items():
                        facts[key] = str(getattr(entry, entry.WhichOneof("kind")))
                else:
                    points.setdefault(event.step, {})[value.tag] = value.simple_value
        finished = tables["state"] == "complete"
        runs.append((path.parent.name, Run(points, tables, finished, facts)))
    return runs


def read_mlflow(folder: Path) -> list[tuple[str, Run]]:
    client = importlib.import_module("mlflow").MlflowClient(folder.as_uri())
    runs = []
    (experiment,) = [e for e in client.search_experiments() if e.name == "hvae-sweep"]
    for run in client.search_runs([experiment.experiment_id]):
        points: dict[int, dict[str, float]] = {}
        for key in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, key):
                points.setdefault(metric.step, {})[key] = metric.value
        assert run.info.status in ("FINISHED", "FAILED")
        finished = run.info.status == "FINISHED"
        facts = {**run.data.tags, "name": run.info.run_name}
        runs.append((run.data.tags["cell_id"], Run(points, dict(run.data.params), finished, facts)))
    return runs


def read_wandb(folder: Path) -> list[tuple[str, Run]]:
    runs = []
    for path in folder.rglob("*.wandb"):
        points: dict[int, dict[str, float]] = {}
        facts: dict[str, str] = {}
        config: dict[str, str] = {}
        finished = None
        for record in wandb_records(path):
            if record.HasField("run"):
                facts.update(id=record.run.run_id, name=record.run.display_name, project=record.run.project)
                facts["tags"] = ",".join(record.run.tags)
                config.update({item.key: str(json.loads(item.value_json)) for item in record.run.config.update})
            elif record.HasField("history"):
                row = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
                step = int(row["_step"])
                points[step] = {key: json.loads(text) for key, text in row.items() if not key.startswith("_")}
            elif record.HasField("summary"):
                facts.update({item.key: str(json.loads(item.value_json)) for item in record.summary.update})
            elif record.HasField("exit"):
                finished = record.exit.exit_code == 0
        assert finished is not None
        assert path.parent.name == f"offline-run-{facts['id']}"
        assert facts["project"] == "hvae-sweep"
        runs.append((facts["id"], Run(points, config, finished, facts)))
    return runs


def wandb_records(path: Path) -> Iterator[Any]:
    """Records of wandb's log of 32 KiB blocks, whose pieces are: checksum, length, whole or first, middle, last."""
    kind = importlib.import_module("wandb.proto.wandb_internal_pb2").Record
    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at < len(data):
        if 32768 - at % 32768 < 7:  # no piece begins in the last bytes of a block
            at += 32768 - at % 32768
            continue
        _, length, piece = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if piece in (1, 4):
            yield kind.FromString(whole)
            whole = b""


def test_complete_cell_is_one_run_with_its_numbers(
    name: str, open_logger: Callable[[], Logger], complete: Record, cell: Cell, tmp_path: Path
) -> None:
    open_logger().log(complete, HISTORY)
    ((cell_id, run),) = read(name, tmp_path).items()
    assert cell_id == cell.id
    layers = {f"test/{metric}_{i}": value for metric, value in (("kl", 1.5), ("au", 3), ("au_path", 3)) for i in (1, 2)}
    whole = {"test/elbo": -9.0, "test/recon": -6.0, "test/kl_total": 3.0, "test/kl_top": 1.5, "test/au_top": 3}
    last = {"valid/elbo": -9.75, "valid/au_top": 3, **whole, **layers}
    assert run.points == {6: {"valid/elbo": -12.5, "valid/au_top": 2}, 12: last}
    assert run.finished
    assert run.facts["state"] == "complete"
    assert "failure" not in run.facts
    declared = {key: str(value) for key, value in cell.row.items() if value is not None}
    assert {key: value for key, value in run.config.items() if key in cell.row} == declared
    if name == "tensorboard":
        assert run.facts["rho"] == "0.5"
    else:
        assert run.facts["name"] == f"bars:{cell.source} mlp2x3h6 rho 0.5 seed 0"


def test_failed_cell_is_logged_as_failed_with_what_it_has(
    name: str, open_logger: Callable[[], Logger], diverged: Record, cell: Cell, tmp_path: Path
) -> None:
    broken = {"step": 12, "elbo": NAN, "recon": INFINITY, "kl_top": -INFINITY, "au_top": 0}
    open_logger().log(diverged, [HISTORY[0], broken, {"step": 18, "elbo": NAN}])
    run = read(name, tmp_path)[cell.id]
    assert run.points == {6: {"valid/elbo": -12.5, "valid/au_top": 2}, 12: {"valid/au_top": 0}}
    assert not run.finished
    assert (run.facts["state"], run.facts["failure"]) == ("diverged", "diverged")
    assert run.config["rho"] == "0.5"
    assert b"/a/path" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_cell_without_history_is_logged_and_pending_one_is_not(
    name: str, open_logger: Callable[[], Logger], diverged: Record, other: Cell, tmp_path: Path
) -> None:
    logger = open_logger()
    logger.log(replace(diverged, cell=other, state="pending", failure=None), HISTORY)
    logger.log(replace(diverged, state="failed", failure={"kind": "lost"}), [])
    runs = read(name, tmp_path)
    assert list(runs) == [diverged.cell.id]
    assert runs[diverged.cell.id].points == {}
    assert runs[diverged.cell.id].facts["failure"] == "lost"


def test_logged_again_stays_one_run_and_the_first(
    name: str, open_logger: Callable[[], Logger], complete: Record, diverged: Record, cell: Cell, tmp_path: Path
) -> None:
    logger = open_logger()
    logger.log(complete, HISTORY)
    before = read(name, tmp_path)[cell.id]
    for again in (logger, open_logger()):  # in this process, and resumed
        again.log(complete, HISTORY[:1])
        again.log(diverged, [])
        assert read(name, tmp_path) == {cell.id: before}


def test_failed_cell_that_was_trained_again_replaces_its_run(
    name: str, open_logger: Callable[[], Logger], complete: Record, diverged: Record, cell: Cell, tmp_path: Path
) -> None:
    open_logger().log(diverged, HISTORY[:1])
    assert diverged.failure is not None
    logger = open_logger()
    logger.log(replace(diverged, failure={**diverged.failure, "attempts": 2}), HISTORY)  # and diverged again
    assert read(name, tmp_path)[cell.id].points.keys() == {6, 12}
    logger.log(complete, HISTORY)
    assert read(name, tmp_path)[cell.id].finished


def test_run_that_was_cut_off_is_written_anew(
    name: str, open_logger: Callable[[], Logger], complete: Record, other: Cell, tmp_path: Path
) -> None:
    class Unreadable(list[dict[str, float]]):
        def __iter__(self) -> Iterator[dict[str, float]]:
            raise OSError("the disk is gone")

    logger = open_logger()
    second = replace(complete, cell=other)
    for record in (complete, second):
        with pytest.raises(OSError, match="the disk is gone"):
            logger.log(record, Unreadable())
    logger.log(complete, HISTORY)
    open_logger().log(second, HISTORY)
    runs = read(name, tmp_path)
    assert runs.keys() == {complete.cell.id, other.id}
    assert all(run.finished and len(run.points[6]) == 2 for run in runs.values())


def test_many_runs_and_long_histories(
    name: str, open_logger: Callable[[], Logger], complete: Record, tmp_path: Path
) -> None:
    logger = open_logger()
    history = [{"step": step, "elbo": -step / 8, "recon": step / 4} for step in range(1, 701)]
    cells = [replace(complete.cell, member=replace(complete.cell.member, seed=seed)) for seed in range(3)]
    for cell in cells:
        logger.log(replace(complete, cell=cell), history)
    runs = read(name, tmp_path)
    assert runs.keys() == {cell.id for cell in cells}
    for seed, cell in enumerate(cells):
        run = runs[cell.id]
        assert run.config["seed"] == str(seed)
        assert [(step, row["valid/elbo"]) for step, row in sorted(run.points.items())] == [
            (step, -step / 8) for step in range(1, 701)
        ]


def test_event_files_hold_no_number_that_would_become_an_infinity(complete: Record, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    (logger,) = open_loggers(["tensorboard"], tmp_path)
    logger.log(complete, [{"step": 1, "elbo": -1e39, "recon": FLOAT32_MAX, "kl_top": -FLOAT32_MAX}])
    run = read("tensorboard", tmp_path)[complete.cell.id]
    assert run.points[1] == {"valid/recon": FLOAT32_MAX, "valid/kl_top": -FLOAT32_MAX}


def test_mlflow_goes_where_the_user_says(complete: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mine" / "logs" / "mlflow").as_uri())
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")  # it would count as written what is not
    (logger,) = open_loggers(["mlflow"], tmp_path / "results")
    logger.log(complete, HISTORY)
    assert read("mlflow", tmp_path / "mine")[complete.cell.id].points.keys() == {6, 12}
    assert not (tmp_path / "results").exists()


def test_wandb_leaves_a_run_alone_that_is_open_in_this_process(complete: Record, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    (logger,) = open_loggers(["wandb"], tmp_path / "results")
    own = wandb.init(mode="offline", dir=str(tmp_path))
    logger.log(complete, HISTORY)
    assert wandb.run is own
    own.finish()
    logger.close()
    assert read("wandb", tmp_path / "results")[complete.cell.id].points.keys() == {6, 12}


def test_wandb_takes_nothing_from_a_sweep_around_it(
    complete: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its run id and sweep id all cells would be written as one run."""
    pytest.importorskip("wandb")
    for key, value in (("RUN_ID", "theirs"), ("SWEEP_ID", "x"), ("PROJECT", "other"), ("NAME", "theirs")):
        monkeypatch.setenv(f"WANDB_{key}", value)
    (logger,) = open_loggers(["wandb"], tmp_path / "results")
    logger.log(complete, HISTORY)
    logger.close()
    runs = read("wandb", tmp_path / "results")
    assert list(runs) == [complete.cell.id]


@pytest.mark.parametrize("mode", ["online", "disabled"])
def test_wandb_stays_offline_quiet_and_leaves_the_process_as_it_was(
    mode: str, complete: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    for key, value in (("MODE", mode), ("SILENT", "false"), ("CONSOLE", "wrap")):
        monkeypatch.setenv(f"WANDB_{key}", value)

    def process() -> list[object]:
        return [sys.exit, sys.excepthook, sys.stdout, *(signal.getsignal(n) for n in signal.valid_signals())]

    before = process()
    (logger,) = open_loggers(["wandb"], tmp_path)
    logger.log(complete, HISTORY)
    assert process() == before
    assert not importlib.import_module("wandb.env").error_reporting_enabled()
    logger.close()
    assert process() == before
    assert "WANDB_SERVICE" not in os.environ
    assert read("wandb", tmp_path).keys() == {complete.cell.id}
    assert capfd.readouterr() == ("", "")
    (folder,) = (tmp_path / "logs" / "wandb").iterdir()
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == {"outcome.txt", f"run-{complete.cell.id}.wandb"}  # no list of what is installed, no code
    written = list(wandb_records(folder / f"run-{complete.cell.id}.wandb"))
    assert not any(record.HasField("environment") or record.HasField("stats") for record in written)
    assert sys.executable.encode() not in b"".join(files.values())


def test_service_that_ended_badly_ends_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    (logger,) = open_loggers(["wandb"], tmp_path)
    teardown = wandb.teardown
    monkeypatch.setattr(wandb, "teardown", lambda: teardown() or sys.exit(7))
    with pytest.raises(RuntimeError, match="status 7"):
        logger.close()


def test_nothing_reaches_the_network_the_terminal_or_the_home_directory(
    complete: Record, ledger: Ledger, tmp_path: Path
) -> None:
    for package in PACKAGES.values():
        pytest.importorskip(package)
    ledger.add_request({}, [complete.cell])
    ledger.complete(complete.cell, complete.result or {}, {}, HISTORY)
    script = """
import sys
from pathlib import Path
from sweeps.ledger.ledger import Ledger
from sweeps.loggers.registry import LOGGERS, open_loggers

class Spoken(list):
    def __iter__(self):
        print("said meanwhile")
        return super().__iter__()

root = Path(sys.argv[1])
loggers = open_loggers(LOGGERS, root)
for logger in loggers:
    logger.log(next(Ledger(root).records()), Spoken())
    logger.close()
sys.exit(3)
"""
    home = tmp_path / "home"
    home.mkdir()
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")  # no PYTEST_ or CI, which switch some telemetry off
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), url)
        found = {key: os.environ[key] for key in kept if key in os.environ}
        environment = {**found, **proxies, "HOME": str(home), "PYTHONPATH": str(Path(module.__file__).parents[2])}
        command = [sys.executable, "-W", "error", "-c", script, str(ledger.root)]
        # wandb's service holds these pipes too: that they end tells that it did.
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (3, 3 * "said meanwhile\n", "")
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert {path.name for path in home.iterdir()} <= {".cache"}
    assert sorted(path.name for path in (ledger.root / "logs").iterdir()) == sorted(LOGGERS)
    files = [path.read_bytes() for path in (ledger.root / "logs").rglob("*") if path.is_file()]
    assert b"said meanwhile" not in b"".join(files)  # what the process prints is none of their business


def test_missing_package_is_one_line_with_what_to_type(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(SpecError) as caught:
        open_loggers([name], tmp_path)
    package = PACKAGES[name]
    assert str(caught.value) == f"log: '{name}' needs the package {package}: pip install 'hvae-sweep[{name}]'"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("one line\nand another"), ImportError("no such symbol"), OSError()])
def test_logger_that_cannot_be_opened_is_one_line_and_closes_the_others(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Good:
        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def log(self, record: Record, history: Sequence[Any]) -> None: ...

        def close(self) -> None:
            closed.append(self.folder.name)

    def bad(folder: Path) -> Logger:
        raise error

    monkeypatch.setattr(module, "_OPEN", {"tensorboard": Good, "mlflow": bad})
    with pytest.raises(SpecError) as caught:
        open_loggers(["tensorboard", "mlflow"], tmp_path)
    assert str(caught.value).startswith(f"log: 'mlflow' cannot be opened: {type(error).__name__}: ")
    assert "\n" not in str(caught.value)
    assert closed == ["tensorboard"]


def test_names_are_checked_and_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"^log: 'neptune' is not allowed; it must be tensorboard, mlflow or wandb$"):
        open_loggers(["neptune"], tmp_path)
    assert open_loggers([], tmp_path) == []
    pytest.importorskip("tensorboardX")
    assert len(open_loggers(["tensorboard", "tensorboard"], tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []


def test_module_imports_none_of_the_packages() -> None:
    code = (
        f"import sys, sweeps.loggers.registry; sys.exit(any(name in sys.modules for name in {list(PACKAGES.values())}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
