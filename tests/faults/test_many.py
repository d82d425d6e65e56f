"""Five thousand cells through Ray: the driver's memory, and how long looking at them takes."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Lab

CELLS = 5000
GRID = ["rho", "--model", "mlp1x2h2", "--datasets", "bars.npz", "--rho", "0.02:1:0.02", "--seeds", "100"]
REQUEST = [*GRID, "--ou-samples", "1", "--steps", "2", "--batch-size", "8", "--ll-examples", "0", "--keep", "none"]
PACK = ["--pack", "64"]
GATHER = (
    "import pathlib; from analysis.frames.gather import gather; print(len(gather([pathlib.Path('results')]).frame))"
)
LIMIT = 15.0  # seconds; generous, since machines are busy: the printed numbers are what counts


def peak(pid: int) -> int:
    """Most memory that a process has ever had, in bytes; 0 if it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@pytest.mark.timeout(600)
def test_five_thousand_cells(lab: Lab, say: Callable[[str], None]) -> None:
    began, most = time.monotonic(), 0
    driver = lab.start(*REQUEST, *PACK, "--out", "results", "--json")
    while driver.process.poll() is None and time.monotonic() - began < 500:
        most = max(most, peak(driver.pid))
        time.sleep(0.1)
    ended, took = driver.wait(1), time.monotonic() - began
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["complete"] == CELLS
    timed = {"sweep": took}
    looks = {
        "dry run": ([*REQUEST, *PACK, "--dry-run", "--json"], f'"complete": {CELLS}'),
        "status": (["status", "results"], f"{CELLS} complete"),
        "gather": ([sys.executable, "-c", GATHER], str(CELLS)),
        "the same command": ([*REQUEST, *PACK, "--json"], f'"complete": {CELLS}'),
        "clean": (["clean", "results"], "runs"),
    }
    for name, (words, expected) in looks.items():
        start = time.monotonic()
        done = lab.run(*words)
        timed[name] = time.monotonic() - start
        assert done.code == 0, done.stderr
        assert expected in done.stdout
    seconds = ", ".join(f"{name} {took:.1f} s" for name, took in timed.items())
    say(f"{CELLS} cells: {seconds}; peak of the driver {most / 2**20:.0f} MiB")
    assert 0 < most < 2**30
    assert all(timed[name] < LIMIT for name in looks)
    lab.tidy(lab.folder / "results")
