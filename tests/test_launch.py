"""Our commands run ours, whatever lies under the names of our top-level modules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.cluster import own_programs
from sweeps.errors import SchedulerError

PROGRAM = Path(sys.executable).with_name("hvae-sweep")
MODULE = [sys.executable, "-P", "-m", "hvae_core.launch", "sweep"]
SCRIPT = [sys.executable, "-c", "from hvae_core.launch import sweep; sweep()"]
NAMES = ("cli", "sweeps", "analysis")


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """A folder with modules of our names that end whatever imports them."""
    folder = tmp_path / "decoys"
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise SystemExit('decoy {name} was imported')\n")
    return folder


def run(words: list[str], here: Path, python_path: str | None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    return subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("program", [MODULE, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize("place", ["path", "here", "both"])
def test_decoys_are_passed_over(program: list[str], place: str, decoys: Path, tmp_path: Path) -> None:
    here = decoys if place != "path" else tmp_path
    path = "." if place == "both" else str(decoys) if place == "path" else None
    done = run([*program, "--version"], here, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hvae-sweep")


def test_a_worker_among_decoys_trains(decoys: Path, tmp_path: Path, write_images: Callable[..., Path]) -> None:
    write_images(decoys / "bars.npz")
    words = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--steps", "4"]
    for more in ([*words, "--batch-size", "8", "--ll-examples", "0", "--plan-only"], ["work", "results"]):
        done = run([*MODULE, *more], decoys, str(decoys))
        assert done.returncode == 0, done.stderr
    assert len(list(decoys.glob("results/cells/*/result.json"))) == 2


def test_what_a_process_starts_finds_ours_too(decoys: Path) -> None:
    """Ray's workers inherit PYTHONPATH."""
    inner = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sweeps; print(sweeps.__file__)'])"
    program = f"from hvae_core.launch import ours; ours('cli'); {inner}"
    done = run([sys.executable, "-c", program], decoys.parent, str(decoys))
    assert done.returncode == 0, done.stderr
    assert str(decoys) not in done.stdout
    assert done.stdout.strip().endswith("sweeps/__init__.py")


def test_an_intruder_that_is_already_loaded_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sweeps.py").write_text("mine = 1\n")
    for program in (
        "import sweeps; from hvae_core.launch import sweep; sweep()",
        "import sweeps; from hvae_core.launch import load_cell; load_cell('x')",
    ):
        done = run([sys.executable, "-c", program, "--version"], tmp_path, None)
        assert done.returncode == 1
        assert f"sweeps: {tmp_path}/sweeps.py is loaded under a name of hvae-sweep's" in done.stderr
    program = "import sweeps; from hvae_core.launch import plot; plot()"
    assert "Traceback" not in run([sys.executable, "-c", program], tmp_path, None).stderr


def test_load_cell_is_ours_beside_a_users_own(decoys: Path) -> None:
    program = "from hvae_core.launch import load_cell; load_cell('no/such/cell')"
    done = run([sys.executable, "-c", program], decoys, None)
    assert "was imported" not in done.stderr
    assert "no/such/cell: holds no trained cell" in done.stderr


def test_without_intruders_nothing_is_changed(tmp_path: Path) -> None:
    program = "import os, sys; before = list(sys.path); from hvae_core.launch import ours; ours('cli'); "
    program += "print(sys.path == before, os.environ.get('PYTHONPATH'))"
    done = run([sys.executable, "-c", program], tmp_path, None)
    assert done.stdout.strip() == "True None"


def test_a_command_that_does_not_run_is_found_before_anything_is_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    own_programs.check_command()
    for words, why in (
        ((sys.executable, "-c", "raise SystemExit('broken')"), "broken"),
        (("/no/such/python",), "No such file"),
        ((sys.executable, "-c", "print('another program')"), "no reason given"),
    ):
        monkeypatch.setattr(own_programs, "COMMAND", words)
        with pytest.raises(SchedulerError, match=why):
            own_programs.check_command()


def test_rays_program_is_found_where_pip_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(own_programs.sysconfig, "get_path", lambda *_: str(tmp_path / "user"))  # type: ignore[attr-defined]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="neither beside the interpreter nor in the path"):
        own_programs.ray_program()
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "ray").write_text("#!/bin/sh\n")
    (tmp_path / "user" / "ray").chmod(0o755)
    assert own_programs.ray_program() == str(tmp_path / "user" / "ray")
