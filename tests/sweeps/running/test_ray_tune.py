"""Real Ray, from outside: the installed command as a process, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.ledger.atomic_files import DamagedFileError, read_json
from sweeps.ledger.ledger import Ledger

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]

COMMAND = str(Path(sys.executable).with_name("hvae-sweep"))
GRID = ["--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--ou-samples", "2"]
SHORT = [*GRID, "--steps", "30", "--batch-size", "8", "--ll-examples", "5"]
LONG = [*GRID, "--steps", "2000", "--batch-size", "8", "--ll-examples", "5", "--eval-every", "500"]


@pytest.fixture
def here(tmp_path: Path, write_images: Callable[..., Path]) -> Path:
    """A working directory whose own modules have our packages' names, and break whoever imports them."""
    for name in ("hvae_core", "sweeps", "analysis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('decoy {name} was imported')\n")
    (tmp_path / "cli.py").write_text("raise SystemExit('decoy cli was imported')\n")
    write_images(tmp_path / "bars.npz")
    return tmp_path


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=here, capture_output=True, text=True, timeout=400, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def start(here: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def numbers(root: Path) -> dict[str, object]:
    """Everything a cell's run decides, by cell: final metrics, history and weights, bit for bit."""
    ledger = Ledger(root)
    found: dict[str, object] = {}
    for cell in ledger.cell_ids():
        path = ledger.cell_path(cell)
        result = json.loads((path / "result.json").read_text())
        del result["seconds"]
        found[cell] = (result, (path / "history.csv").read_bytes(), (path / "weights.safetensors").read_bytes())
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, write_images: Callable[..., Path]) -> dict[str, object]:
    """What LONG comes to without Ray and without trouble."""
    here = tmp_path_factory.mktemp("undisturbed")
    write_images(here / "bars.npz")
    assert run(here, "rho", *LONG, "--out", "alone", "--plan-only").returncode == 0
    assert run(here, "work", "alone").returncode == 0
    return numbers(here / "alone")


def wait_for_steps(root: Path, least: int) -> None:
    """Wait until some pack's worker has written that many steps of progress."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for path in root.glob("packs/*/progress.json"):
            try:
                facts = read_json(path)
            except DamagedFileError:
                continue
            if facts and facts["step"] >= least:
                return
        time.sleep(0.05)
    raise AssertionError("no progress within 90 s")


def test_a_sweep_through_ray_among_decoys_equals_one_without_ray(here: Path) -> None:
    """Silent, offline, from a directory that shadows every package of ours; the same packs give the same bits."""
    done = run(here, "rho", *SHORT, "--seeds", "2", "--pack", "2", "--out", "results", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["complete"], facts["cells"]) == (6, 6)
    assert "decoy" not in done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if "top KL" in line]) == 6
    assert "Traceback" not in done.stderr
    assert "ray" not in done.stderr.lower().replace("ray tune trial", "")
    assert run(here, "rho", *SHORT, "--seeds", "2", "--pack", "2", "--out", "alone", "--plan-only").returncode == 0
    assert run(here, "work", "alone").returncode == 0
    assert numbers(here / "results") == numbers(here / "alone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_checkpoints_ends_in_time_and_the_same_command_goes_on(
    here: Path,
    start: Callable[..., subprocess.Popen[str]],
    undisturbed: dict[str, object],
    number: signal.Signals,
) -> None:
    process = start("rho", *LONG, "--out", "results")
    wait_for_steps(here / "results", 300)
    asked = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=40) == 128 + number
    assert time.monotonic() - asked < 20
    checkpoints = list((here / "results").glob("packs/*/checkpoint-*"))
    assert checkpoints
    assert not list((here / "results").glob("packs/*/claim")), "workers let go of what they held"
    again = run(here, "rho", *LONG, "--out", "results", "--json")
    assert again.returncode == 0, again.stderr
    assert numbers(here / "results") == undisturbed


def test_a_killed_worker_is_started_again_and_loses_nothing(
    here: Path, start: Callable[..., subprocess.Popen[str]], undisturbed: dict[str, object]
) -> None:
    process = start("rho", *LONG, "--out", "results")
    wait_for_steps(here / "results", 300)
    claims = list((here / "results").glob("packs/*/claim"))
    os.kill(json.loads(claims[0].read_text())["pid"], signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert numbers(here / "results") == undisturbed


def raylet_of(driver: int) -> int:
    """Process id of the raylet that a driver started, from the process table."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")[0]
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if command.endswith(b"/raylet") and parent == driver:
                return int(entry.name)
    raise AssertionError("no raylet")


def test_a_dead_raylet_ends_the_run_and_the_same_command_goes_on(
    here: Path, start: Callable[..., subprocess.Popen[str]], undisturbed: dict[str, object]
) -> None:
    """Tune alone would wait for ever; the driver says so and leaves, and nothing is lost."""
    process = start("rho", *LONG, "--out", "results")
    wait_for_steps(here / "results", 300)
    os.kill(raylet_of(process.pid), signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    outlived = process.returncode == 0  # the workers may reach their end before Ray knows of its death
    assert outlived or (process.returncode == 1 and "Ray died under this run" in stderr), stderr
    again = run(here, "rho", *LONG, "--out", "results", "--json")
    assert again.returncode == 0, again.stderr
    assert numbers(here / "results") == undisturbed


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_no_ray_is_is_refused_at_once(here: Path, address: str) -> None:
    refused = run(here, "rho", *SHORT, "--address", address)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith(f"error: address: '{address}'")


def test_resources_that_nobody_has_are_refused_not_waited_for(here: Path) -> None:
    many = run(here, "rho", *SHORT, "--cpus-per-trial", "4096")
    assert many.returncode == 2
    assert many.stderr.splitlines()[-1].startswith("error: cpus-per-trial: 4096")
