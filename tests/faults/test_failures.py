"""Cells that run out of memory, whose workers die again and again, or that diverge: recorded, and no others suffer."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sweeps.ledger.ledger import Ledger

if TYPE_CHECKING:
    from tests.faults.conftest import Lab

pytestmark = pytest.mark.timeout(240)

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1"]
REQUEST = [*GRID, "--ou-samples", "2", "--steps", "400", "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]
LARGE = [*GRID, "--ou-samples", "50", "--steps", "2", "--batch-size", "1000000", "--ll-examples", "5", "--pack", "3"]
GIBIBYTES = 5  # of address space, most of which torch's libraries take


def failures(root: Path) -> dict[str, dict[str, object]]:
    ledger = Ledger(root)
    records = [ledger.record(cell) for cell in ledger.cell_ids()]
    return {record.cell.id: record.failure for record in records if record is not None and record.failure is not None}


def test_cells_that_run_out_of_memory_fail_alone(
    lab: Lab, reference: Callable[..., dict[str, object]], numbers: Callable[[Path], dict[str, object]]
) -> None:
    root = lab.folder / "results"
    for request in (LARGE, REQUEST):
        assert lab.run(*request, "--plan-only").code == 0
    scarce = ["prlimit", f"--as={GIBIBYTES * 2**30}"]
    done = lab.run("work", "results", prefix=scarce)
    assert done.code == 3, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    found = failures(root)
    assert len(found) == 3
    for failure in found.values():
        assert failure["kind"] == "error"
        lines = failure["lines"]
        assert isinstance(lines, list)
        assert "memory" in lines[-1] or "MemoryError" in lines[-1], lines
    for cell in found:
        path = root / "cells" / cell
        assert {file.name for file in path.iterdir()} == {"config.json", "failure.json"}
        path.rename(lab.folder / cell)
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root)


def test_a_worker_that_is_killed_again_and_again_costs_its_own_cells(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
) -> None:
    root, done, kills = lab.folder / "results", threading.Event(), list[int]()
    assert lab.run(*REQUEST, "--plan-only").code == 0
    doomed, victim = next(iter(Ledger(root).packs().items()))

    def hunt() -> None:
        while not done.wait(0.01):
            pid = lab.workers(root).get(doomed)
            if pid is not None and pid not in kills:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills.append(pid)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        ended = lab.run(*REQUEST, "--max-failures", "1", "--json", faults={"pause": 0.005})
    finally:
        done.set()
        hunter.join()
    assert ended.code == 3, ended.stderr
    assert len(kills) == 2
    assert "Traceback" not in ended.stderr, ended.stderr
    printed = ended.stdout.splitlines()
    facts = json.loads(printed[-1])
    assert (facts["complete"], facts["failed"], facts["pending"]) == (2, 1, 0)
    found = failures(root)
    assert list(found) == list(victim.cells)
    failure = found[victim.cells[0]]
    assert failure["kind"] == "lost"
    assert failure["lines"]
    assert failure["lines"] != ["None"], "why it was lost"
    lab.look(root)
    again = lab.run(*REQUEST, "--retry-failed")
    assert again.code == 0, again.stderr
    assert lab.look(root) == 3
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root, killed=True)
    assert len(printed) == 1, f"standard output is for the one JSON object: {printed[0]}"


def test_fail_fast_leaves_the_rest_pending_with_checkpoints(
    lab: Lab, reference: Callable[..., dict[str, object]], numbers: Callable[[Path], dict[str, object]]
) -> None:
    """The model of rho 0.5 is made to diverge, in a pack of its own, while that of 0.9 is in training and 1 waits."""
    root = lab.folder / "results"
    fast = lab.run(*REQUEST, "--fail-fast", "--json", faults={"pause": 0.1, "diverge": [0.5, 350]})
    assert fast.code not in (0, 3), fast.stderr
    assert "--fail-fast" in fast.stderr
    facts = json.loads(fast.stdout)
    assert (facts["complete"], facts["diverged"], facts["pending"]) == (0, 1, 2)
    held = [path for path in root.glob("packs/*") if list(path.glob("checkpoint-*"))]
    assert held, "the worker of another pack wrote a checkpoint"
    assert not list(root.glob("packs/*/claim"))
    rest = lab.run(*REQUEST, "--json")
    assert rest.code == 3, rest.stderr
    assert json.loads(rest.stdout)["complete"] == 2
    (failure,) = failures(root).values()
    assert (failure["kind"], failure["step"]) == ("diverged", 351)
    lab.look(root)
    again = lab.run(*REQUEST, "--retry-failed")
    assert again.code == 0, again.stderr
    assert lab.look(root) == 3
    assert numbers(root) == reference(REQUEST)
    lab.tidy(root)
