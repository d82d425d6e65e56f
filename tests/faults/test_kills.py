"""kill -9 at random moments, thirty times in a row: nothing is lost, nothing is trained twice, no bit differs."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Lab, Running

KILLS = 30
WORKER_KILLS = 4  # of one driver
REQUEST = [
    *("rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.8", "0.9", "1", "--seeds", "4"),
    *("--ou-samples", "2", "--steps", "900", "--batch-size", "8", "--ll-examples", "5", "--eval-every", "300"),
    *("--pack", "2", "--max-failures", "9"),
]
SLOW = {"checkpoint_seconds": 0.3, "pause": 0.01}  # no number changes; thirty kills find the sweep at work
SLOWER = {"checkpoint_seconds": 0.3, "pause": 0.05}  # once half of the cells are complete


@pytest.mark.timeout(1200)
def test_thirty_kills_at_random_moments(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    wait_until: Callable[..., object],
    say: Callable[[str], None],
) -> None:
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    rng, root = random.Random(seed), lab.folder / "results"
    killed: Counter[tuple[str, str]] = Counter()
    starts, uncaught = 0, list[str]()

    def strike(driver: Running, spared: bool) -> str:
        """Kill the driver, a worker (unless spared) or the raylet, whatever is there; returns which."""
        there = {"driver": [driver.pid], "raylet": lab.raylets(), "worker": sorted(lab.workers(root).values())}
        phase = "in training" if there["worker"] else "as Ray starts" if there["raylet"] else "before Ray"
        weights = {"driver": 2, "raylet": 1, "worker": 0 if spared else 4}
        victim = rng.choice([name for name, pids in there.items() for _ in range(weights[name]) if pids])
        with suppress(ProcessLookupError):
            os.kill(rng.choice(there[victim]), signal.SIGKILL)
            killed[victim, phase] += 1
        return victim

    while killed.total() < KILLS:
        driver = lab.start(*REQUEST, "--out", "results", faults=SLOW if lab.look(root) < 8 else SLOWER)
        starts += 1
        moment = rng.choices(["planning", "starting", "training"], [1, 1, 4])[0]
        if moment == "training":
            ended = driver.process.poll
            wait_until(lambda ended=ended: lab.workers(root) or ended() is not None, 90, "nothing began within 90 s")
            time.sleep(rng.uniform(0, 4))
        else:
            time.sleep(rng.uniform(0, 3) if moment == "planning" else rng.uniform(3, 9))
        for n in range(WORKER_KILLS + 1):
            lab.look(root)
            if driver.process.poll() is not None or killed.total() == KILLS:
                break
            if strike(driver, n == WORKER_KILLS) != "worker":
                break
            time.sleep(rng.uniform(0, 5))
        if killed.total() == KILLS and driver.process.poll() is None:
            driver.kill()
        end = driver.wait(120)
        assert end.code in (0, 1, -signal.SIGKILL), end.stderr
        uncaught += [end.stderr] if "Traceback" in end.stderr else []
        if end.code == 0:
            break
    found = lab.look(root)
    what = ", ".join(f"{n} {victim} {phase}" for (victim, phase), n in sorted(killed.items()))
    say(f"{killed.total()} kills in {starts} starts (seed {seed}): {what}; {found} of 16 cells complete by then")
    assert killed.total() >= KILLS, "the sweep was over before"
    last = lab.run(*REQUEST, "--out", "results", "--json", timeout=240)
    assert last.code == 0, last.stderr
    assert lab.look(root) == 16
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)
    assert not uncaught, f"{len(uncaught)} runs ended in a traceback, one of them: {uncaught[0]}"


@pytest.mark.timeout(240)
def test_the_death_of_ray_is_no_failure_of_the_cells(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    wait_until: Callable[..., object],
) -> None:
    """Even if no worker may die: the machine was at fault, and the same command goes on."""
    request, root = [*REQUEST, "--max-failures", "0", "--out", "results", "--json"], lab.folder / "results"
    driver = lab.start(*request, faults=SLOWER)
    wait_until(lambda: lab.steps(root), 90, "training")
    os.kill(lab.raylets()[0], signal.SIGKILL)
    ended = driver.wait(90)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert "Ray died under this run" in ended.stderr, ended.stderr
    lines = ended.stdout.splitlines()
    assert (ended.code, json.loads(lines[-1])["failed"]) == (1, 0)
    done = lab.run(*request)
    assert done.code == 0, done.stderr
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)
    assert len(lines) == 1, f"standard output is for the one JSON object: {lines[0]}"


@pytest.mark.timeout(120)
def test_the_death_of_ray_while_it_starts_is_one_line(
    lab: Lab, one_line: Callable[[str], str], wait_until: Callable[..., object]
) -> None:
    driver = lab.start(*REQUEST, "--out", "results")
    wait_until(lab.raylets, 60, "a raylet")
    os.kill(lab.raylets()[0], signal.SIGKILL)
    ended = driver.wait(100)
    assert ended.code in (1, 2)
    one_line(ended.stderr)
    lab.gone()
