from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from rich.console import Console

from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.ledger import Ledger, Pack, Record
from sweeps.ledger.pack_progress import Pace
from sweeps.planning.plan import request_entry
from sweeps.watching.live_progress import Progress, describe

Result = Callable[..., dict[str, Any]]


def test_a_look_counts_what_ended_and_times_what_runs(ledger: Ledger, spec: SweepSpec, result: Result) -> None:
    cells = spec.cells()
    packs = [Pack(tuple(cell.id for cell in cells[:2])), Pack(tuple(cell.id for cell in cells[2:]))]
    ledger.add_request(request_entry(spec, packs, {}), cells)
    heard: list[Record] = []
    console = Console(file=io.StringIO(), width=200)
    progress = Progress(ledger, cells, packs, console, heard.append)
    first, ended = progress.poll()
    assert (first.complete, first.failed, first.total, ended) == (0, 0, 4, [])
    assert first.line() == "0/4 cells, 0 model-steps/s, ETA unknown"
    ledger.complete(cells[0], result(), {}, [{"step": 1, "elbo": -1.0}], None)
    ledger.fail(cells[1].id, "error", ["it broke"])
    folder = ledger.pack_path(packs[1].id)
    folder.mkdir(parents=True)
    Pace(6, 12, 2, 3.0).write(folder)
    second, ended = progress.poll()
    assert (second.complete, second.failed) == (1, 1)
    assert [record.cell.id for record in ended] == [cells[0].id, cells[1].id]
    assert second.model_steps_left == 2 * (12 - 6)
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
