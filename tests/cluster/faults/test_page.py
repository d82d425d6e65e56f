"""The commands of docs/cluster.md, in its order, with a small model and without the page's partition."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sweeps.ledger.ledger import Ledger

if TYPE_CHECKING:
    from tests.cluster.conftest import Slurm, Until

pytestmark = pytest.mark.timeout(300)

PAGE = Path(__file__).parents[3] / "docs" / "cluster.md"
ELSEWHERE = ("--ray ", "--address auto", "--backend ray-job")  # run by test_symmetric, tests/faults, test_ray_job
SMALL = "--model mlp2x3h6 --datasets bars.npz --rho 0.5 0.9 1 --steps 60 --batch-size 8 --ll-examples 5"


def commands() -> dict[str, list[str]]:
    """Lines that begin with a command of ours or sbatch, by the section they are in."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        lines = re.findall(r"^    ((?:hvae-sweep|sbatch) .*)$", part, flags=re.MULTILINE)
        lines = [line for line in lines if "# not run" not in line and not any(word in line for word in ELSEWHERE)]
        found[part.splitlines()[0]] = [
            line.replace("--model mlp4x40 --datasets mnist", SMALL).replace("--partition gpu --gres gpu:1 ", "")
            for line in lines
        ]
    return found


@pytest.mark.parametrize(("section", "lines"), [(section, lines) for section, lines in commands().items() if lines])
def test_the_page_works(
    section: str, lines: list[str], tmp_path: Path, slurm: Slurm, until: Until, write_images: Callable[..., Path]
) -> None:
    write_images(tmp_path / "bars.npz")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=tmp_path,
            env={**slurm.environment(), "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        if line.startswith("hvae-sweep cancel"):
            until(lambda: not slurm.ask("squeue", "--noheader").strip(), 60, lambda: slurm.ask("squeue"))
    until(lambda: not slurm.ask("squeue", "--noheader").strip(), 90, lambda: slurm.ask("squeue"))
    ledger = Ledger(tmp_path / "results")
    assert [ledger.state(cell) for cell in ledger.cell_ids()] == ["complete"] * 3


def test_the_page_has_commands() -> None:
    assert sum(len(lines) for lines in commands().values()) >= 8
