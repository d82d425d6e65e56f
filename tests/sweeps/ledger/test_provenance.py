"""Where a number came from: the commit of the tree that runs, and nobody else's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.ledger import provenance as module

SOURCE = Path(module.__file__)
ROOT = SOURCE.parents[2]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def state_in(package: Path) -> str:
    """What a copy of the module, as <package>/ledger/provenance.py, says of its commit."""
    (package / "ledger").mkdir(parents=True)
    shutil.copy(SOURCE, package / "ledger" / SOURCE.name)
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('p', sys.argv[1]); m = u.module_from_spec(s);"
        "s.loader.exec_module(m); print(*m.git_state())"
    )
    command = [sys.executable, "-c", code, str(package / "ledger" / SOURCE.name)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "Begin")
    return tmp_path


def test_a_checkout_says_its_commit_and_whether_it_was_changed(checkout: Path) -> None:
    sha = git(checkout, "rev-parse", "HEAD")
    assert state_in(checkout / "sweeps") == f"{sha} False"
    shutil.rmtree(checkout / "sweeps")
    (checkout / "file").write_text("2")
    assert state_in(checkout / "sweeps") == f"{sha} True"


def test_an_installation_inside_another_projects_checkout_says_nothing(checkout: Path) -> None:
    assert state_in(checkout / "site-packages" / "sweeps") == "None None"


def test_outside_of_any_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert state_in(tmp_path / "sweeps") == "None None"


def test_facts_stand_beside_what_the_process_knows() -> None:
    known = module.provenance(pack="p")
    assert known["pack"] == "p"
    assert {"git_sha", "git_dirty", "versions", "host", "pid", "machine"} <= set(known)
    assert {"python", "torch", "numpy"} <= set(known["versions"])
