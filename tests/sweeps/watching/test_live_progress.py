from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.ledger import Ledger, Pack, Record
from sweeps.ledger.pack_progress import FILE, Pace
from sweeps.planning.plan import request_entry
from sweeps.running.driver import resumed
from sweeps.watching.live_progress import Progress, describe

Result = Callable[..., dict[str, Any]]


def test_a_look_counts_what_ended_and_times_what_runs(ledger: Ledger, spec: SweepSpec, result: Result) -> None:
    cells = spec.cells()
    packs = [Pack(tuple(cell.id for cell in cells[:2])), Pack(tuple(cell.id for cell in cells[2:]))]
    ledger.add_request(request_entry(spec, packs, {}), cells)
    heard: list[Record] = []
    console = Console(file=io.StringIO(), width=200)
    progress = Progress(ledger, cells, packs, console, heard.extend)
    first, ended = progress.poll()
    assert (first.complete, first.failed, first.total, ended) == (0, 0, 4, [])
    assert first.line() == "0/4 cells, 0 % of the steps, 0 model-steps/s, ETA unknown"
    ledger.complete(cells[0], result(), {}, [{"step": 1, "elbo": -1.0}], None)
    ledger.fail(cells[1].id, "error", ["it broke"])
    folder = ledger.pack_path(packs[1].id)
    folder.mkdir(parents=True)
    Pace(6, 12, 2, 3.0).write(folder)
    second, ended = progress.poll()
    assert (second.complete, second.failed) == (1, 1)
    assert [record.cell.id for record in ended] == [cells[0].id, cells[1].id]
    assert second.model_steps_left == 2 * (12 - 6)
    assert second.line() == "1/4 cells, 1 failed, 75 % of the steps, 6 model-steps/s, ETA 2 s"
    assert second.lines == [
        second.line(),
        "  bars:npz mlp2x3h6 seed 1: 2 models, step 6 of 12, 6 model-steps/s, ETA 2 s",
    ]
    assert progress.poll()[1] == [], "a cell ends once"


def test_a_line_names_what_ended_and_how(ledger: Ledger, spec: SweepSpec, result: Result) -> None:
    one, other = spec.cells()[:2]
    ledger.add_request(request_entry(spec, [], {}), [one, other])
    ledger.complete(one, result(kl_top=1.25, au_top=2), {}, [], None)
    ledger.fail(other.id, "diverged", ["the loss was not finite at step 3"], 3)

    def line(cell: Cell) -> str:
        record = ledger.record(cell.id)
        assert record is not None
        return describe(record)

    assert line(one) == f"{one.title}: top KL 1.250 nats, 2/3 active, ELBO -9.00"
    assert line(other) == f"{other.title}: diverged: the loss was not finite at step 3"


def test_the_speed_is_smoothed_and_outlives_the_gap_between_packs(
    ledger: Ledger, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two packs of 2 x 12 steps: a second after the speed doubles the ETA has moved by 5 % of the way."""
    cells = spec.cells()
    packs = [Pack(tuple(cell.id for cell in cells[:2])), Pack(tuple(cell.id for cell in cells[2:]))]
    ledger.add_request(request_entry(spec, packs, {}), cells)
    clock = time.time()
    monkeypatch.setattr("time.time", lambda: clock)
    progress = Progress(ledger, cells, packs, Console(file=io.StringIO()), lambda ended: None)
    folder = ledger.pack_path(packs[0].id)
    folder.mkdir(parents=True)
    Pace(2, 12, 2, 10.0).write(folder)
    assert progress.poll()[0].model_steps_per_second == 20.0
    clock += 1
    Pace(3, 12, 2, 20.0).write(folder)
    assert progress.poll()[0].model_steps_per_second == pytest.approx(20 + 20 * (1 - math.exp(-1 / 20)))
    (folder / FILE).unlink()
    gap = progress.poll()[0]
    assert gap.model_steps_per_second == pytest.approx(20 + 20 * (1 - math.exp(-1 / 20)))


def test_what_a_dead_worker_left_is_no_speed_and_a_checkpoint_is_no_work(ledger: Ledger, spec: SweepSpec) -> None:
    cells = spec.cells()
    pack = Pack(tuple(cell.id for cell in cells))
    ledger.add_request(request_entry(spec, [pack], {}), cells)
    folder = ledger.pack_path(pack.id)
    (folder / "checkpoint-9").mkdir(parents=True)
    Pace(11, 12, 4, 3.0).write(folder)
    an_hour_ago = time.time() - 3600
    os.utime(folder / FILE, (an_hour_ago, an_hour_ago))
    found, _ = Progress(ledger, cells, [pack], Console(file=io.StringIO()), lambda ended: None).poll()
    assert (found.model_steps_per_second, found.model_steps_left, found.steps_done) == (0.0, 12, 0.75)
    assert resumed(ledger, [pack]) == ["checkpoints: 1 of 1 packs go on at step 9"]


def test_after_the_last_step_the_models_are_evaluated(ledger: Ledger, spec: SweepSpec) -> None:
    cells = spec.cells()
    pack = Pack(tuple(cell.id for cell in cells))
    ledger.add_request(request_entry(spec, [pack], {}), cells)
    folder = ledger.pack_path(pack.id)
    folder.mkdir(parents=True)
    Pace(12, 12, 4, 3.0).write(folder)
    found, _ = Progress(ledger, cells, [pack], Console(file=io.StringIO()), lambda ended: None).poll()
    assert found.line() == "0/4 cells, 100 % of the steps, evaluating"
