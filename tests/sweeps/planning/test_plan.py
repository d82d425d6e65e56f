from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hvae_core.checks import SpecError
from hvae_core.families.registry import parse_model
from hvae_core.spec import ObjectiveSpec
from hvae_core.training.memory import member_bytes
from sweeps.grid.sweep_spec import SweepSpec, rho_axis
from sweeps.ledger.ledger import Ledger
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.planning.resources import Resources


def run(ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]], how_many: int | None = None) -> None:
    """Pretend to run a request: record it and complete its first pending cells."""
    plan = plan_sweep(ledger, spec)
    ledger.add_request(request_entry(spec, plan.packs(ledger), {}), plan.cells)
    for cell in plan.pending[:how_many]:
        ledger.complete(cell, result(), {}, [])


def test_a_request_is_its_grid_minus_what_is_complete(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    plan = plan_sweep(ledger, spec)
    nothing = dict.fromkeys(("pending", "complete", "failed", "diverged", "stale"), 0)
    assert plan.counts() == {"cells": 4, "new": 4, **nothing}
    run(ledger, spec, result)
    assert plan_sweep(ledger, spec).pending == []
    more = plan_sweep(ledger, replace(spec, objectives=rho_axis(spec.objectives[0], (0.5, 0.7, 1.0))))
    assert [cell.member.objective.rho for cell in more.pending] == [0.7, 0.7]
    assert more.counts()["new"] == 2
    assert more.counts()["complete"] == 4
    longer = plan_sweep(ledger, replace(spec, trains=(replace(spec.trains[0], steps=13),)))
    assert longer.counts()["new"] == 4, "more steps are new cells"


def test_the_rest_of_an_interrupted_request_keeps_its_packs(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    planned = plan_sweep(ledger, spec).packs(ledger)
    run(ledger, spec, result, how_many=1)
    rest = plan_sweep(ledger, spec)
    assert rest.counts()["pending"] == 3
    assert rest.packs(ledger, None, Resources(1, 0, 8)) == planned, "the same members, whatever the machine's size now"


def test_cells_that_earlier_requests_planned_in_the_same_packs_are_counted(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    """Of rho .5 and 1 at two seeds only rho .5 is asked for again: its packs bring the two of rho 1 along."""
    run(ledger, spec, result, how_many=0)
    half = plan_sweep(ledger, replace(spec, objectives=rho_axis(spec.objectives[0], (0.5,))))
    packs = half.packs(ledger)
    along = half.cells_of_earlier_requests(ledger, packs)
    assert {ledger.record(cell).cell.member.objective.rho for cell in along} == {1.0}  # type: ignore[union-attr]
    assert sorted(along + [cell.id for cell in half.pending]) == sorted(c for pack in packs for c in pack.cells)
    ledger.complete(next(cell for cell in spec.cells() if cell.id == along[0]), result(), {}, [])
    assert half.cells_of_earlier_requests(ledger, packs) == along[1:]


def test_failed_cells_wait_for_a_retry(ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]) -> None:
    run(ledger, spec, result, how_many=2)
    failed, diverged = plan_sweep(ledger, spec).pending
    ledger.fail(failed.id, "error", ["boom"])
    ledger.fail(diverged.id, "diverged", ["nan"], 3)
    assert plan_sweep(ledger, spec).pending == []
    retry = plan_sweep(ledger, spec, retry_failed=True)
    assert [cell.id for cell in retry.pending] == [failed.id, diverged.id]
    assert retry.counts()["failed"] == retry.counts()["diverged"] == 1


def test_a_name_keeps_its_meaning_in_a_directory(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    run(ledger, spec, result)
    moved = replace(spec.data[0], source="elsewhere", checksum="f" * 64)
    with pytest.raises(SpecError, match=r"'bars' meant npz .* would now mean elsewhere") as error:
        plan_sweep(ledger, replace(spec, data=(moved,)))
    assert "\n" not in str(error.value)
    plan_sweep(ledger, replace(spec, data=(replace(moved, asked="bars:elsewhere"),)))


def test_stale_cells_are_counted_and_trained_again(
    ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]
) -> None:
    run(ledger, spec, result)
    one, two, three, _ = spec.cells()
    (ledger.cell_path(one.id) / "result.json").write_text("{")
    (ledger.cell_path(two.id) / "config.json").write_text("{")
    (ledger.cell_path(three.id) / "history.csv").write_text("step\n1\n")
    plan = plan_sweep(ledger, spec)
    assert plan.counts()["stale"] == 3
    assert plan.pending == [one, two, three]
    assert len(ledger.repair(spec.cells())) == 3
    after = plan_sweep(ledger, spec)
    assert after.pending == [one, three], "an intact result needs only its configuration back"


def test_the_table_adds_up(ledger: Ledger, spec: SweepSpec, result: Callable[..., dict[str, Any]]) -> None:
    run(ledger, spec, result, how_many=1)
    heading, line = plan_sweep(ledger, spec).table()
    assert dict(zip(heading.split(), line.split(), strict=True)) == {
        **{"data": "bars:npz", "model": "mlp2x3h6", "cells": "4", "new": "0", "pending": "3"},
        **{"complete": "1", "failed": "0", "diverged": "0", "stale": "0"},
    }
    assert len(heading) == len(line)


def test_a_model_over_the_memory_there_is_says_what_would_fit(ledger: Ledger, spec: SweepSpec) -> None:
    """The batch named fits, one more does not, and --pack takes the planner's word for nothing."""
    plan, image = plan_sweep(ledger, spec), spec.data[0].image
    cell = plan.cells[0]

    def needed(batch: int) -> int:
        return member_bytes(cell.model, cell.member.objective, replace(cell.train, batch_size=batch), image)

    memory = needed(5000)
    big = replace(spec, trains=(replace(spec.trains[0], batch_size=10**5),))
    with pytest.raises(SpecError, match=r"^model: 'mlp2x3h6' .*batch 100000.* --pack 1 tries") as error:
        plan_sweep(ledger, big).packs(ledger, None, Resources(1, 0, 1, memory=memory))
    largest = int(str(error.value).partition("--batch-size ")[2].split()[0])
    assert needed(largest) <= memory < needed(largest + 1)
    with pytest.raises(SpecError, match="not even a minibatch of one image fits"):
        plan.packs(ledger, None, Resources(1, 0, 1, memory=10))
    assert len(plan.packs(ledger, 1, Resources(1, 0, 1, memory=10))) == len(plan.cells)


def test_packs_of_maps_stay_small_on_a_cpu(ledger: Ledger, spec: SweepSpec) -> None:
    """The hidden tensor of a pack is at most 32 MiB: beyond, packs are slower than single models (benchmarks)."""
    objectives = rho_axis(ObjectiveSpec(ou_samples=5), tuple(i / 10 for i in range(11)))
    large = replace(spec, models=(parse_model("conv2x2x4x4f40"),), objectives=objectives, seeds=(0,))
    wide = replace(large, trains=(replace(spec.trains[0], batch_size=400),))  # 5 x 400 x 640 x 4 bytes each
    plan = plan_sweep(ledger, wide)
    assert max(len(pack.cells) for pack in plan.packs(ledger)) == 6, "eleven in two packs, of at most six"
    assert max(len(pack.cells) for pack in plan.packs(ledger, None, Resources(1, 1, 1))) == 11, "a GPU has its own"
    assert max(len(pack.cells) for pack in plan_sweep(ledger, large).packs(ledger)) == 11


def test_a_pack_takes_no_more_memory_than_there_is(ledger: Ledger, spec: SweepSpec) -> None:
    """Room for one member is a pack for each; on a GPU with room for all, the seeds of a model go together."""
    plan, image = plan_sweep(ledger, spec), spec.data[0].image
    each = max(member_bytes(c.model, c.member.objective, c.train, image) for c in plan.cells)
    tight = plan.packs(ledger, None, Resources(1, 0, 1, memory=each))
    assert {len(pack.cells) for pack in tight} == {1}
    together = plan.packs(ledger, None, Resources(1, 1, 1, memory=100 * each))
    assert sum(len(pack.cells) for pack in together) == len(plan.cells)
    assert len(together) < len(plan.packs(ledger))
