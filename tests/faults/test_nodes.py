"""Nodes that leave a cluster, and a cluster of somebody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Lab

pytestmark = pytest.mark.timeout(300)

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--seeds", "2"]
REQUEST = [*GRID, "--ou-samples", "2", "--steps", "900", "--batch-size", "8", "--ll-examples", "5", "--pack", "2"]
SLOW = {"checkpoint_seconds": 0.3, "pause": 0.01}


@contextmanager
def cluster(lab: Lab, *cpus: int) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Start a Ray with these cores on its head and on further nodes; its workers are as slow as ours."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("cluster.py")), *map(str, cpus)],
        cwd=lab.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=lab.environment(SLOW),
        start_new_session=True,
    )
    lab.sessions.add(process.pid)
    assert process.stdin is not None
    assert process.stdout is not None
    commands, answers = process.stdin, process.stdout
    with process:

        def tell(command: str) -> dict[str, Any]:
            commands.write(command + "\n")
            commands.flush()
            line = answers.readline()
            while not line.startswith("{"):
                assert line, "the cluster died"
                line = answers.readline()
            found: dict[str, Any] = json.loads(line)
            return found

        try:
            yield tell
            commands.close()
            process.wait(60)
        finally:
            process.kill()


def test_a_node_that_leaves_in_mid_training_costs_nothing(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    wait_until: Callable[..., object],
) -> None:
    root = lab.folder / "results"
    with cluster(lab, 0, 1, 1) as tell:
        facts = tell("facts")
        assert facts["nodes"] == 3
        driver = lab.start(*REQUEST, "--out", "results", "--address", facts["address"], faults=SLOW)
        wait_until(lambda: len([n for n in lab.steps(root).values() if n > 150]) >= 2, 120, "two packs in training")
        before = lab.workers(root)
        tell("remove 0")
        wait_until(lambda: set(before.values()) - set(lab.processes()), 30, "a worker that went with its node")
        ended = driver.wait(200)
        assert ended.code == 0, ended.stderr
        assert tell("facts")["nodes"] == 2
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)


RAY = str(Path(sys.executable).with_name("ray"))
NODE = ["--num-cpus", "1", "--object-store-memory", str(80 * 2**20), "--block", "--disable-usage-stats"]
ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')


@pytest.mark.parametrize("trouble", ["files", "versions"])
def test_a_node_with_other_files_or_versions_stops_it_before_anything_is_trained(
    lab: Lab, trouble: str, one_line: Callable[[str], str], wait_until: Callable[..., object]
) -> None:
    """One node sees the results directory, the other something else in its place, or has another torch."""
    root = lab.folder / "results"
    root.mkdir()
    (lab.folder / "other" / "torch-1.2.3.dist-info").mkdir(parents=True)
    (lab.folder / "other" / "torch-1.2.3.dist-info" / "METADATA").write_text("Name: torch\nVersion: 1.2.3\n")
    path = os.pathsep.join([str(lab.folder / "other"), *filter(None, [os.environ.get("PYTHONPATH")])])
    prefix = (*ELSEWHERE, str(root)) if trouble == "files" else ("env", f"PYTHONPATH={path}")
    with cluster(lab, 0, 1) as tell:
        address = tell("facts")["address"]
        lab.start(RAY, "start", "--address", address, *NODE, prefix=prefix)
        wait_until(lambda: tell("facts")["nodes"] == 3, 60, "the third node")
        ended = lab.run(*REQUEST, "--out", "results", "--address", address)
    assert ended.code == 2
    line = one_line(ended.stderr)
    assert line.count("node ") == 1, "the other node is as it should be"
    assert (f"does not see {root}" if trouble == "files" else "torch 1.2.3 (here ") in line
    assert not (root / "sweep.json").exists()
    assert not (root / "cells").exists()


def test_a_ray_of_somebody_else_is_not_touched(
    lab: Lab, reference: Callable[..., dict[str, object]], numbers: Callable[[Path], dict[str, object]]
) -> None:
    """It is the one that `ray.init()` would join: the file that names it lies where Ray looks for it."""
    with cluster(lab, 2) as tell:
        before = tell("facts")
        assert (lab.ray / "ray" / "ray_current_cluster").read_text() == before["address"]
        done = lab.run(*REQUEST, "--out", "results")
        assert done.code == 0, done.stderr
        assert tell("facts") == before
        assert (before["nodes"], before["jobs"], before["actors"]) == (1, 0, 0)
    assert numbers(lab.folder / "results") == reference(REQUEST)
    lab.tidy(lab.folder / "results")
