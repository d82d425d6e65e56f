from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.grid.sweep_spec import SweepSpec, rho_axis
from sweeps.ledger.ledger import Ledger
from sweeps.planning import estimate as module
from sweeps.planning.estimate import Estimate, estimate, probe
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.planning.resources import Resources

Make = Callable[..., dict[str, Any]]


def record(ledger: Ledger, spec: SweepSpec, result: Make, **facts: Any) -> None:
    """Record a request and complete all its cells with these facts."""
    plan = plan_sweep(ledger, spec)
    ledger.add_request(request_entry(spec, plan.packs(ledger), {}), plan.cells)
    for cell in plan.pending:
        ledger.complete(cell, result(**facts), {}, [])


def predict(ledger: Ledger, spec: SweepSpec, slots: int = 1, device: str = "cpu", size: int | None = None) -> Estimate:
    plan = plan_sweep(ledger, spec)
    return estimate(ledger, plan, plan.packs(ledger, size, Resources(1, 0, slots)), slots, device)


def test_nothing_measured_is_unknown_not_guessed(ledger: Ledger, spec: SweepSpec) -> None:
    found = predict(ledger, spec)
    assert (found.wall_seconds, found.device_hours) == (None, None)
    assert "mlp2x3h6, batch 8" in found.line
    assert found.line.startswith("unknown")


def test_nothing_to_train_takes_no_time(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    record(ledger, spec, result)
    assert predict(ledger, spec).wall_seconds == 0


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_complete_cells_tell_what_more_of_their_kind_will_take(
    ledger: Ledger, spec: SweepSpec, result: Make, slots: int
) -> None:
    """2 s for 12 steps of each of 2 members: 1/6 s per model-step; 4 new cells of 120 steps are 80 device-seconds."""
    record(ledger, spec, result, seconds=2.0, pack_size=2)
    longer = replace(spec, trains=(replace(spec.trains[0], steps=120),))
    found = predict(ledger, longer, slots, size=1)
    assert found.device_hours == pytest.approx(80 / 3600)
    assert found.wall_seconds == pytest.approx({1: 80, 2: 40, 3: 40}[slots])
    assert "complete cells" in found.basis


def test_another_device_shape_or_batch_tells_nothing(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    record(ledger, spec, result, seconds=2.0)
    train = replace(spec.trains[0], steps=120)
    assert predict(ledger, replace(spec, trains=(train,))).wall_seconds is not None
    assert predict(ledger, replace(spec, trains=(train,)), device="NVIDIA H100").wall_seconds is None
    assert predict(ledger, replace(spec, trains=(replace(train, batch_size=9),))).wall_seconds is None
    fewer = rho_axis(replace(spec.objectives[0], ou_samples=3), (0.5, 1.0))
    assert predict(ledger, replace(spec, objectives=fewer)).wall_seconds is None


def test_packs_of_the_nearest_size_tell(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    record(ledger, spec, result, seconds=12.0, pack_size=1)
    record(ledger, replace(spec, seeds=(2, 3)), result, seconds=24.0, pack_size=8)
    more = replace(spec, seeds=(4,))
    assert predict(ledger, more, size=1).device_hours == pytest.approx(24 / 3600)
    eight = rho_axis(spec.objectives[0], [i / 8 for i in range(8)])
    assert predict(ledger, replace(more, objectives=eight)).device_hours == pytest.approx(192 / 3600)


def test_a_checkpoint_shortens_what_is_left(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    record(ledger, spec, result, seconds=1.2)
    longer = replace(spec, trains=(replace(spec.trains[0], steps=100),), seeds=(0,))
    plan = plan_sweep(ledger, longer)
    (pack,) = plan.packs(ledger)
    before = estimate(ledger, plan, [pack], 1, "cpu").wall_seconds
    (ledger.pack_path(pack.id) / "checkpoint-75").mkdir(parents=True)
    after = estimate(ledger, plan, [pack], 1, "cpu").wall_seconds
    assert before == pytest.approx(20)
    assert after == pytest.approx(5)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=30), st.integers(1, 8))
def test_wall_time_lies_between_the_bounds_of_any_schedule(seconds: list[float], slots: int) -> None:
    wall = module._makespan(seconds, slots)
    assert wall >= max(max(seconds), sum(seconds) / slots) - 1e-9
    assert wall <= sum(seconds) / slots + max(seconds) + 1e-9


def test_timed_steps_fill_what_complete_cells_leave_open(ledger: Ledger, spec: SweepSpec, result: Make) -> None:
    """In a process of its own, real steps: a positive time, used only for the shape that nothing tells of."""
    options = PackOptions(
        str(ledger.root), references=((spec.data[0].name, spec.data[0].checksum, spec.data[0].reference),)
    )
    record(ledger, spec, result, seconds=1.2)
    other = replace(spec, trains=(replace(spec.trains[0], batch_size=9),))
    for wanted, asked, basis in ((spec, {}, "complete cells"), (other, {"mlp2x3h6"}, "timed steps")):
        longer = replace(wanted, trains=(replace(wanted.trains[0], steps=1000),))
        plan = plan_sweep(ledger, longer)
        packs = plan.packs(ledger)
        speeds = probe(options, ledger, plan, packs, "cpu")
        assert len(speeds) == len(asked)
        found = estimate(ledger, plan, packs, 1, "cpu", speeds)
        assert found.wall_seconds is not None
        assert 0 < found.wall_seconds < 4000 * 0.1
        assert basis in found.basis
