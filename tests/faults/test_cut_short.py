"""Killed between two writes: at every step of a checkpoint, of a cell's record and of a pack's end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Ended, Lab

pytestmark = pytest.mark.timeout(150)

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--steps", "240", "--batch-size", "8", "--ll-examples", "5", "--eval-every", "40", "--pack", "2"]
EAGER = {"checkpoint_seconds": 0}  # a checkpoint at each of the six evaluations


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("point", ["half", "state.pt flushed", "renaming", "renamed"])
def test_killed_in_the_midst_of_a_checkpoint(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    command: Callable[..., Ended],
    point: str,
    n: int,
) -> None:
    """Half of state.pt in the file; all of it; all files, not renamed yet; renamed, the old generations still there."""
    root = lab.folder / "results"
    assert command(*REQUEST, "--plan-only").code == 0
    assert lab.run("work", "results", faults={**EAGER, "kill": [point, n]}).code == -signal.SIGKILL
    whole = sorted(int(path.name.partition("-")[2]) for path in root.glob("packs/*/checkpoint-*"))
    latest = 40 * (n if point == "renamed" else n - 1)
    expected = [step for step in (latest - 80, latest - 40, latest) if step > 0]
    assert whole == expected[-3 if point == "renamed" else -2 :]
    begun = list(root.glob("packs/*/.checkpoint-*/state.pt"))
    assert len(begun) == (point != "renamed")
    done = lab.run("work", "results")
    assert done.code == 0, done.stderr
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)


BETWEEN = {  # point: (n-th time, cells that are complete by then)
    "weights.safetensors writing": (1, 0),
    "weights.safetensors written": (1, 0),
    "provenance.json written": (1, 0),
    "result.json replacing": (1, 0),
    "result.json written": (1, 1),
    "weights.safetensors replacing": (2, 1),
    "provenance.json writing": (2, 1),
    "checkpoints removing": (1, 2),
    "checkpoints removed": (1, 2),
    "claim releasing": (1, 2),
    "claim released": (1, 2),
}


@pytest.mark.parametrize("point", BETWEEN)
def test_killed_between_the_records_of_a_pack(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    command: Callable[..., Ended],
    point: str,
) -> None:
    root = lab.folder / "results"
    n, complete = BETWEEN[point]
    assert command(*REQUEST, "--plan-only").code == 0
    assert lab.run("work", "results", faults={"kill": [point, n]}).code == -signal.SIGKILL
    assert lab.look(root) == complete
    done = lab.run("work", "results")
    assert done.code == 0, done.stderr
    assert lab.look(root) == 2
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)


@pytest.mark.parametrize(("point", "n"), [("half", 2), ("result.json written", 1), ("checkpoints removed", 1)])
def test_a_ray_worker_that_dies_there_is_started_again(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    point: str,
    n: int,
) -> None:
    once = lab.folder / "died"
    done = lab.run(*REQUEST, "--out", "results", faults={**EAGER, "kill": [point, n], "once": str(once)})
    assert done.code == 0, done.stderr
    assert once.exists()
    assert numbers(lab.folder / "results") == reference(REQUEST)
    lab.tidy(lab.folder / "results", killed=True)
