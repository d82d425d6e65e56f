"""Without network, with a clock that goes backwards, and beside a second driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Lab

pytestmark = pytest.mark.timeout(240)

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--seeds", "2"]
REQUEST = [*GRID, "--ou-samples", "2", "--steps", "500", "--batch-size", "8", "--ll-examples", "5", "--pack", "2"]
ALONE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']


def test_without_network_it_works_the_same(
    lab: Lab, reference: Callable[..., dict[str, object]], numbers: Callable[[Path], dict[str, object]]
) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare and ip are needed to take the network away")
    look = subprocess.run([*ALONE, "cat", "/proc/net/dev"], capture_output=True, text=True, check=False)
    if look.returncode:
        pytest.skip(f"taking the network away is not permitted here: {look.stderr.strip()}")
    devices = [line.split(":")[0].strip() for line in look.stdout.splitlines() if ":" in line]
    assert devices == ["lo"]
    done = lab.run(*REQUEST, "--out", "results", "--json", prefix=ALONE)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["complete"] == 6
    assert numbers(lab.folder / "results") == reference(REQUEST)
    lab.tidy(lab.folder / "results")


def test_a_clock_that_goes_back_an_hour_frees_no_claim_that_is_held(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    one_line: Callable[[str], str],
    wait_until: Callable[..., object],
) -> None:
    """Every Python process of the sweep sees the jump; to the file system's clock, the claims now are of the future."""
    root, jump = lab.folder / "results", lab.folder / "jump"
    faults = {"pause": 0.02, "checkpoint_seconds": 0.5, "clock": str(jump)}
    driver = lab.start(*REQUEST, "--out", "results", faults=faults)
    wait_until(lambda: len([n for n in lab.steps(root).values() if n > 100]) >= 2, 120, "two packs in training")
    jump.touch()
    future, holders = time.time() + 3600, lab.workers(root)
    other = lab.start(*REQUEST, "--out", "results", faults=faults)
    while other.process.poll() is None:  # again and again: a heartbeat would put it right
        for claim in (root / "claim", *root.glob("packs/*/claim")):
            with suppress(FileNotFoundError):
                os.utime(claim, (future, future))
        time.sleep(0.05)
    second = other.wait(1)
    assert second.code == 5, second.stderr
    assert f"process {driver.pid} on" in one_line(second.stderr)
    now = lab.workers(root)
    assert all(now.get(pack, pid) == pid for pack, pid in holders.items()), "a claim changed hands"
    ended = driver.wait(150)
    assert ended.code == 0, ended.stderr
    assert lab.look(root) == 6
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root)
