"""What is prepared for a GPU runs from its first line to its last, at toy size on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = ("tests.txt", "checks.md", "pack-step-float32.md", "pack-step-conv3x2x7x7f4.md", "conv-stack.md", "panel.txt")


@pytest.mark.timeout(400)
def test_the_gpu_script_runs_on_a_cpu(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(ROOT / "benchmarks" / "gpu.sh"), str(tmp_path), "cpu"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = {file.name: file.read_text() for file in tmp_path.glob("*.*") if file.suffix != ".png"}
    assert done.returncode == 0, (done.stderr, said)
    assert set(TABLES) <= set(said)
    for name in TABLES:
        assert "Traceback" not in said[name]
    assert "resumed half-way, undisturbed | 0.0e+00" in said["checks.md"]
    panel = json.loads(said["panel.json"])
    assert [row["rho"] for row in panel["members"]] == [0.5, 1.0]
    assert len(said["panel.csv"].splitlines()) == 3
    assert (tmp_path / "panel.png").stat().st_size > 10_000
    assert (tmp_path / "panel-checkpoints" / "checkpoint-20").is_dir()
