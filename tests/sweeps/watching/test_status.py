from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sweeps.grid.sweep_spec import SweepSpec, rho_axis
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger, LedgerError, Pack
from sweeps.ledger.pack_progress import Pace
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.watching.status import ASCII_BLOCKS, BLOCKS, _sparkline, read_status

Make = Callable[..., dict[str, Any]]


def planned(ledger: Ledger, spec: SweepSpec) -> list[Pack]:
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    return packs


def test_counts_and_curve_are_those_of_the_records(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    spec = replace(spec, objectives=rho_axis(spec.objectives[0], (0.5, 0.9, 1.0)))
    packs = planned(ledger, spec)
    kl = {0.5: 8.0, 0.9: 4.0}
    for cell in spec.cells():
        rho, seed = cell.member.objective.rho, cell.member.seed
        if rho in kl:
            ledger.complete(cell, result(kl_top=kl[rho] + seed, kl_2=kl[rho] + seed), {}, [])
        elif seed == 0:
            ledger.fail(cell.id, "diverged", ["nan"], 3)
    found = read_status(ledger)
    (curve,) = found.curves
    assert curve.counts == {"complete": 4, "failed": 0, "diverged": 1, "pending": 1}
    assert curve.kl_top == [(0.5, 8.5), (0.9, 4.5), (1.0, None)], "medians over the two seeds"
    assert curve.last_activity is not None
    assert curve.last_activity < 60
    assert (curve.running, curve.eta_seconds, found.driver, found.workers) == (0, None, None, [])
    text = "\n".join(found.lines())
    assert "4 complete, 1 diverged, 1 pending" in text
    assert "no process is running" in text
    assert "8.5 █▅  4.5 nats, rho 0.5 to 1" in text
    assert all(ord(letter) < 128 for line in found.lines(unicode=False) for letter in line)
    assert len(packs) == 2


def test_what_runs_gives_the_time_that_is_left(ledger: Ledger, spec: SweepSpec) -> None:
    """Two packs of 2 x 12 steps; one is at step 4 with 2 steps a second: 16 + 24 model-steps left at 4 a second."""
    first, _ = planned(ledger, spec)
    folder = ledger.pack_path(first.id)
    with Claim(ledger.root / "claim"), Claim(folder / "claim"):
        Pace(4, 12, 2, 2.0).write(folder)
        found = read_status(ledger)
        (curve,) = found.curves
        assert curve.eta_seconds == pytest.approx(10)
        assert curve.running == 1
        assert found.driver is not None
        assert found.driver.pid == os.getpid()
        assert "4 pending (16 % of their steps done); ETA 10 s" in "\n".join(found.lines())
        (pack,) = curve.packs
        assert pack == f"pack {first.id[:8]}: 2 models, step 4 of 12, 4 model-steps/s, ETA 4 s"
        assert any(pack in line for line in found.lines())
        assert f"run by process {os.getpid()}" in found.lines()[0]
    (curve,) = read_status(ledger).curves
    assert (curve.running, curve.eta_seconds) == (0, None), "a pace that nobody keeps up is none"


def test_curves_are_told_apart_by_what_differs(ledger: Ledger, spec: SweepSpec) -> None:
    planned(ledger, spec)
    planned(ledger, replace(spec, trains=(replace(spec.trains[0], steps=13),)))
    four = rho_axis(replace(spec.objectives[0], ou_samples=4), (0.5, 1.0))
    planned(ledger, replace(spec, objectives=four))
    names = {curve.name for curve in read_status(ledger).curves}
    base = "bars:npz mlp2x3h6, ou-samples"
    assert names == {f"{base} 2, steps 12", f"{base} 2, steps 13", f"{base} 4, steps 12"}


def test_reading_writes_nothing_and_names_damage(ledger: Ledger, spec: SweepSpec) -> None:
    packs = planned(ledger, spec)
    (ledger.cell_path(packs[0].cells[0]) / "config.json").write_text("{")
    before = sorted(ledger.root.rglob("*"))
    found = read_status(ledger)
    assert sorted(ledger.root.rglob("*")) == before
    assert len(found.damaged) == 1
    assert packs[0].cells[0] in found.lines()[-1]
    (ledger.root / "sweep.json").write_text('{"schema": 0, "requests": []}')
    with pytest.raises(LedgerError, match="schema 0"):
        read_status(ledger)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([None], " "),
        ([0.0, 0.0], "▁▁"),
        ([7.0, 3.0, 0.0], "█▄▁"),
        ([-1.0, 1.0], "▁█"),
        ([1.0] * 61, "█" * 31),
    ],
)
def test_a_curve_in_one_line(values: list[float | None], line: str) -> None:
    assert _sparkline(values, BLOCKS) == line
    assert len(_sparkline(values, ASCII_BLOCKS)) == len(line)
