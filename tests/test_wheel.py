"""What a wheel holds and how it runs: an editable install hides what is missing from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
SWEEP = "rho --model mlp2x3h6 --datasets glyphs --rho 1 --steps 3 --ou-samples 2 --ll-examples 0 --plan-only"


def run(command: list[str], cwd: Path, **environment: str) -> str:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HVAE_"))}
    done = subprocess.run(command, cwd=cwd, env=quiet | environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SUFFIXES = (".py", ".html", ".css", ".js")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from the files that git knows, in a folder of its own: a build leaves things behind."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    for name in names:
        if name.startswith(("hvae_core/", "sweeps/", "analysis/")) or "/" not in name:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all of it"]):
        subprocess.run([*git, *arguments], cwd=folder / "source", check=True)
    run([sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), "."], folder / "source")
    (found,) = folder.glob("*.whl")
    return found


def test_it_holds_every_module_and_the_commit_that_it_was_built_from(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = wheel.parent / "source"
    wanted = {
        str(path.relative_to(source))
        for package in ("hvae_core", "sweeps", "analysis")
        for path in (source / package).rglob("*")
        if path.is_file() and (path.suffix in SUFFIXES or path.parent.name == "_data" or path.name == "py.typed")
    }
    assert wanted | {"cli.py", "sweeps/commit.txt"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "tools", "docs", "setup"))]
    sha = run(["git", "rev-parse", "HEAD"], source).strip()
    assert zipfile.ZipFile(wheel).read("sweeps/commit.txt").decode().strip() == sha


def test_it_works_as_a_user_installs_it(wheel: Path, tmp_path: Path) -> None:
    """`pip install --user`, then a worker in an empty folder, with the libraries of this environment."""
    base = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")  # users install beside no venv
    user, here = str(tmp_path / "user"), tmp_path / "empty"
    here.mkdir()
    run([base, *PIP, "install", "--user", "--no-deps", "--no-index", "--no-warn-script-location", str(wheel)], here,
        PYTHONUSERBASE=user, PIP_BREAK_SYSTEM_PACKAGES="1")  # fmt: skip
    libraries = {"PYTHONUSERBASE": user, "PYTHONPATH": sysconfig.get_path("purelib")}
    command = str(Path(user) / "bin" / "hvae-sweep")
    run([command, *SWEEP.split()], here, **libraries)
    run([command, "work", "results"], here, **libraries)
    (cell,) = (here / "results" / "cells").iterdir()
    facts = json.loads((cell / "provenance.json").read_text())
    sha = run(["git", "rev-parse", "HEAD"], wheel.parent / "source").strip()
    assert (facts["git_sha"], facts["git_dirty"]) == (sha, False)
    script = run([command, "submit", "--dry-run", "--", *SWEEP.split()[:-1], "--out", "other"], here, **libraries)
    assert base in script, "what surely runs: the interpreter, not a command that a node may lack"
    drawn = run([str(Path(user) / "bin" / "hvae-plot"), "phase-transition", "results"], here, **libraries)
    assert "phase-transition.png" in drawn
    page = run([str(Path(user) / "bin" / "hvae-plot"), "report", "results"], here, **libraries)
    assert Path(here / page.strip()).stat().st_size > 2**20
