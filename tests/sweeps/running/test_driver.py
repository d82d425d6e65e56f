"""A request's exit status and its one line, as the ledger has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sweeps.errors import COMPLETE, ERROR, INCOMPLETE
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.driver import exit_status, summary


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("complete", "complete"), COMPLETE),
        (("complete", "error"), INCOMPLETE),
        (("diverged", "complete"), INCOMPLETE),
        (("diverged", "pending"), ERROR),
        (("pending", "complete"), ERROR),
    ],
)
def test_the_status_is_the_ledgers(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]], states: tuple[str, str], status: int
) -> None:
    cells = spec.cells()[:2]
    ledger.add_request(request_entry(spec, [], {}), cells)
    for cell, state in zip(cells, states, strict=True):
        if state == "complete":
            ledger.complete(cell, result(), {}, [], None)
        elif state != "pending":
            ledger.fail(cell.id, state, ["a line"])
    assert exit_status(ledger, cells) == status


def test_the_line_counts_what_is_there_and_names_the_data(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    assert summary(plan_sweep(ledger, spec)) == "cells: 4 (4 new) on bars:npz"
    ledger.add_request(request_entry(spec, [], {}), spec.cells()[:2])
    ledger.complete(spec.cells()[0], result(), {}, [], None)
    assert summary(plan_sweep(ledger, spec)) == "cells: 4 (2 new, 1 pending, 1 complete) on bars:npz"
