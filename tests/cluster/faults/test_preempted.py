"""A more urgent job of somebody else takes the node away from an array."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import cli

if TYPE_CHECKING:
    from tests.cluster.conftest import Slurm, Until

pytestmark = pytest.mark.timeout(200)

HOOK = Path(__file__).parents[2] / "faults" / "hook"
GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "--ou-samples", "2"]
REQUEST = [*GRID, "--steps", "300", "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]


def test_preempted_elements_write_checkpoints_and_go_on_later(
    tmp_path: Path,
    slurm: Slurm,
    until: Until,
    write_images: Callable[..., Path],
    numbers: Callable[[Path], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sweep(*words: str) -> None:
        done = CliRunner().invoke(cli.sweep, words, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(slurm.configuration))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HOOK), os.environ.get("PYTHONPATH", "")]))
    slow = tmp_path / "slow"
    monkeypatch.setenv("FAULTS", json.dumps({"pause": 0.3, "while": str(slow)}))
    write_images(tmp_path / "bars.npz")
    sweep(*REQUEST, "--out", "alone", "--plan-only")
    sweep("work", "alone")
    slow.touch()
    sweep("submit", "--array", "2", "--", *REQUEST)
    (script,) = tmp_path.glob("results/jobs/*/script.sh")

    def logs() -> str:
        return "".join(path.read_text() for path in script.parent.glob("*.log"))

    until(lambda: len(list(tmp_path.glob("results/packs/*/progress.json"))) == 2, 60, logs)
    slurm.ask("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 4")
    until(lambda: len(list(tmp_path.glob("results/packs/*/checkpoint-*"))) == 2, 60, logs)
    slow.unlink()
    until(lambda: set(slurm.elements(script.parent.name).values()) == {"COMPLETED"}, 100, logs)
    assert logs().count("DUE TO PREEMPTION") == 2
    assert numbers(tmp_path / "results") == numbers(tmp_path / "alone")
