"""One exclusive allocation with a Ray in it, as `submit --ray` writes it.

`ray symmetric-run` ends with `ray stop`, which ends every Ray of the user that it sees: here, those of its own process
table alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import cli

if TYPE_CHECKING:
    from tests.cluster.conftest import Slurm, Until

pytestmark = pytest.mark.timeout(300)

HOOK = Path(__file__).parents[2] / "faults" / "hook"
COMMAND = str(Path(sys.executable).with_name("hvae-sweep"))
GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--steps", "300", "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]


@pytest.fixture
def short() -> Iterator[Path]:
    """Ray's sockets lie in it, whose paths must be short."""
    folder = Path(tempfile.mkdtemp(prefix="r-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_ray_over_an_allocation_stopped_and_queued_again_gives_the_numbers_of_one_process(
    tmp_path: Path,
    short: Path,
    isolated_slurm: Slurm,
    until: Until,
    write_images: Callable[..., Path],
    numbers: Callable[[Path], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slurm = isolated_slurm
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(slurm.configuration))
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    path = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    slow = tmp_path / "slow"
    monkeypatch.setenv("FAULTS", json.dumps({"pause": 0.3, "while": str(slow), "checkpoint_seconds": 0.5}))
    write_images(tmp_path / "bars.npz")
    for words in ([*REQUEST, "--out", "alone", "--plan-only"], ["work", "alone"]):
        subprocess.run([COMMAND, *words], check=True, capture_output=True, timeout=60)
    slow.touch()
    done = CliRunner().invoke(cli.sweep, ["submit", "--ray", "--", *REQUEST], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    (script,) = tmp_path.glob("results/jobs/*/script.sh")

    def logs() -> str:
        return "".join(path.read_text() for path in script.parent.glob("*.log"))

    def job() -> str:
        return slurm.ask("scontrol", "show", "job", number)

    number = json.loads((script.parent / "submission.json").read_text())["id"]
    until(lambda: list(tmp_path.glob("results/packs/*/checkpoint-*")), 120, logs)
    slurm.ask("scancel", "--signal=USR1", "--batch", number)
    until(lambda: "Restarts=1" in job(), 30, job)
    slow.unlink()
    over = ("COMPLETED", "FAILED", "CANCELLED")
    until(lambda: slurm.elements(script.parent.name).get("N/A") in over, 200, logs)
    assert slurm.elements(script.parent.name) == {"N/A": "COMPLETED"}, logs()
    assert "On head node" in logs()
    assert numbers(tmp_path / "results") == numbers(tmp_path / "alone")
    status = CliRunner().invoke(cli.sweep, ["status", "results"], catch_exceptions=False).stdout
    assert ": completed\n" in status
    assert "3 complete" in status
