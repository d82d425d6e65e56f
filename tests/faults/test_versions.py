"""A results directory of another version: refused or named in one line, by every command, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Ended, Lab

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--batch-size", "8", "--ll-examples", "5", "--steps", "4", "--out", "results"]
PLOT = ["plot", "phase-transition", "results", "--out", "figures", "--format", "svg"]
LOOKS = [[*REQUEST, "--dry-run"], ["status", "results"], PLOT]


def snapshot(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def complete(lab: Lab, command: Callable[..., Ended]) -> Path:
    assert command(*REQUEST, "--plan-only").code == 0
    assert command("work", "results").code == 0
    return lab.folder / "results"


def of_version(path: Path, version: int) -> None:
    text = path.read_text()
    assert '"schema": 1' in text
    path.write_text(text.replace('"schema": 1', f'"schema": {version}', 1))


COMMANDS = {
    "rho": REQUEST,
    "plan only": [*REQUEST, "--plan-only"],
    "dry run": [*REQUEST, "--dry-run"],
    "work": ["work", "results"],
    "evaluate": ["evaluate", "results", "--samples", "2"],
    "status": ["status", "results"],
    "show": ["show", "CELL"],
    "clean": ["clean", "results"],
    "clean remove": ["clean", "results", "--remove", "weights"],
    "plot": PLOT,
}


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("name", COMMANDS)
def test_another_versions_requests_are_refused_by_name(
    command: Callable[..., Ended], complete: Path, name: str, version: int
) -> None:
    of_version(complete / "sweep.json", version)
    before, cell = snapshot(complete), str(min(complete.glob("cells/*")))
    done = command(*[cell if word == "CELL" else word for word in COMMANDS[name]])
    assert snapshot(complete) == before
    assert [line for line in done.stderr.splitlines() if "sweep.json" in line and f"schema {version}" in line]


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("file", ["config.json", "result.json"])
def test_another_versions_cell_is_named_and_nothing_of_it_is_lost(
    command: Callable[..., Ended], complete: Path, file: str, version: int
) -> None:
    path = min(complete.glob("cells/*")) / file
    of_version(path, version)
    before, foreign = snapshot(complete), path.read_bytes()
    for words in (["status", "results"], ["show", str(path.parent)], PLOT):
        done = command(*words)
        said = done.stdout + done.stderr
        assert len([line for line in said.splitlines() if str(path.relative_to(complete)) in line]) == 1, said
    assert '"stale": 1' in command(*REQUEST, "--dry-run", "--json").stdout
    assert command("clean", "results").code == 0
    assert snapshot(complete) == before
    worked = command("work", "results")
    assert str(path) in worked.stderr, "a worker names it"
    assert foreign in [each.read_bytes() for each in path.parent.iterdir()], "a worker does not overwrite it"
    planned = command(*REQUEST, "--plan-only")
    assert foreign in [each.read_bytes() for each in path.parent.iterdir()]
    assert command("work", "results").code == 0
    assert str(path) in planned.stderr + worked.stderr
