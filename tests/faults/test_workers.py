"""Eight workers on one directory, killed at random: nothing lost, nothing twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Lab, Running

pytestmark = pytest.mark.timeout(400)

WORKERS = 8
GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.7", "0.9", "1", "--seeds", "5"]
REQUEST = [*GRID, "--ou-samples", "2", "--steps", "300", "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]
SLOW = {"checkpoint_seconds": 0.2, "pause": 0.01}


@pytest.mark.parametrize("seed", [1, 2])
def test_eight_workers_killed_at_random_end_where_one_does(
    lab: Lab,
    seed: int,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    wait_until: Callable[..., object],
    say: Callable[[str], None],
) -> None:
    """Whoever is killed is replaced, as a scheduler would; kills come as work is done, whatever the machine's speed."""
    rng, root = random.Random(seed), lab.folder / "results"
    assert lab.run(*REQUEST, "--out", "results", "--plan-only").code == 0
    begin: Callable[[], Running] = lambda: lab.start("work", "results", faults=SLOW)  # noqa: E731
    workers = {worker.pid: worker for worker in (begin() for _ in range(WORKERS))}
    idle = holding = 0
    for _ in range(10):
        aim = lab.look(root) + rng.randint(0, 2)
        wait_until(lambda aim=aim: lab.look(root) >= min(aim, 19) and lab.workers(root), 120, "work that is done")
        busy = set(lab.workers(root).values())
        victim = rng.choice(sorted(busy & set(workers)) if rng.random() < 0.8 else sorted(workers)) if busy else None
        if victim is not None:
            holding, idle = holding + (victim in busy), idle + (victim not in busy)
            workers.pop(victim).kill()
            new = begin()
            workers[new.pid] = new
    ends = [worker.wait(150) for worker in workers.values()]
    assert [end.code for end in ends] == [0] * WORKERS, [end.stderr for end in ends]
    lab.look(root)
    said = [line for path in lab.folder.glob("*.stderr") for line in path.read_text().splitlines() if "top KL" in line]
    say(f"seed {seed}: {holding} workers killed at work, {idle} idle; {len(said)} cells reported")
    assert len(said) == len(set(said)), "no cell was trained to its end twice"
    assert holding >= 4
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)
