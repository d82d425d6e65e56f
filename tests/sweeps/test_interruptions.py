"""Any sequence of run part, crash, extend and run ends where one run would have ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvae_core.training.trainer import PackTrainer
from sweeps.grid.sweep_spec import SweepSpec, rho_axis
from sweeps.ledger.ledger import Ledger
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.pack import run_pack

RHOS = (0.3, 0.7, 1.0)
FILES = ("history.csv", "weights.safetensors")


class CrashError(BaseException):
    """Nothing in the product catches it."""


def job_of(ledger: Ledger, spec: SweepSpec) -> PackOptions:
    references = ((spec.data[0].name, spec.data[0].checksum, spec.data[0].reference),)
    return PackOptions(str(ledger.root), references=references, ll_examples=7, eval_every=1)


def invoke(ledger: Ledger, spec: SweepSpec, stop: Callable[[], bool] = lambda: False) -> None:
    """Do what one invocation does, without Ray: repair, plan, record, train what is missing."""
    ledger.repair(spec.cells())
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    for pack in packs:
        run_pack(job_of(ledger, spec), pack, stop)


def countdown(calls: int, then: Callable[[], bool]) -> Callable[[], bool]:
    left = [calls]

    def ask() -> bool:
        left[0] -= 1
        return left[0] <= 0 and then()

    return ask


def crash() -> bool:
    raise CrashError


def broken_off(ledger: Ledger, spec: SweepSpec, how: str, when: int) -> None:
    """Invoke and end it: asked to stop, or dead in a training step, in a checkpoint's writing, in a record's."""
    if how == "stop":
        invoke(ledger, spec, countdown(when, lambda: True))
        return
    owner, name = {"step": (PackTrainer, "advance"), "save": (torch, "save"), "record": (Ledger, "complete")}[how]
    original, ask = getattr(owner, name), countdown(when, crash)

    def deadly(*given: Any, **more: Any) -> Any:
        ask()
        return original(*given, **more)

    with mock.patch.object(owner, name, deadly):
        try:
            invoke(ledger, spec)
        except CrashError:
            return


def numbers(ledger: Ledger, spec: SweepSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for cell in spec.cells():
        path = ledger.cell_path(cell.id)
        result = json.loads((path / "result.json").read_text())
        del result["seconds"]
        found[cell.id] = (result, [(path / name).read_bytes() for name in FILES])
    return found


@pytest.fixture(autouse=True)
def checkpoint_at_every_look() -> Iterator[None]:
    with (
        mock.patch("sweeps.running.part.CHECKPOINT_SECONDS", 0.0),
        mock.patch("hvae_core.training.trainer.CHECKPOINT_SHARE", 1e9),
    ):
        yield


EVENTS = st.lists(st.tuples(st.sampled_from(["stop", "step", "save", "record"]), st.integers(1, 14)), max_size=5)
CALM = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@CALM
@given(events=EVENTS)
def test_interrupted_anyhow_it_ends_bit_for_bit_where_one_run_does(
    spec: SweepSpec, tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]]
) -> None:
    calm, hurt = (Ledger(tmp_path_factory.mktemp(name)) for name in ("calm", "hurt"))
    invoke(calm, spec)
    done: dict[Path, int] = {}
    for how, when in events:
        broken_off(hurt, spec, how, when)
        done = {path: path.stat().st_mtime_ns for path in hurt.root.glob("cells/*/result.json")} | done
    invoke(hurt, spec)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "nothing complete is written again"
    assert numbers(hurt, spec) == numbers(calm, spec)
    assert not list(hurt.root.glob("packs/*/*"))
    assert not list(hurt.root.glob("cells/*/.*")), "no half-written file is left by what did not kill the process"


@CALM
@given(before=EVENTS, after=EVENTS, first=st.sets(st.sampled_from(RHOS), min_size=1))
def test_extended_on_the_way_it_ends_within_rounding_and_touches_nothing_complete(
    spec: SweepSpec,
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, int]],
    after: list[tuple[str, int]],
    first: set[float],
) -> None:
    calm, hurt = (Ledger(tmp_path_factory.mktemp(name)) for name in ("calm", "hurt"))
    whole = replace(spec, objectives=rho_axis(spec.objectives[0], RHOS))
    invoke(calm, whole)
    part = replace(spec, objectives=rho_axis(spec.objectives[0], tuple(sorted(first))))
    for how, when in before:
        broken_off(hurt, part, how, when)
    done = {c.id: hurt.cell_path(c.id) / "result.json" for c in part.cells() if hurt.state(c.id) == "complete"}
    written = {cell: (path.stat().st_mtime_ns, path.read_bytes()) for cell, path in done.items()}
    for how, when in after:
        broken_off(hurt, whole, how, when)
    invoke(hurt, whole)
    assert {cell: (path.stat().st_mtime_ns, path.read_bytes()) for cell, path in done.items()} == written
    one, other = numbers(calm, whole), numbers(hurt, whole)
    for cell in one:
        for name, value in one[cell][0].items():
            if name.startswith(("elbo", "recon", "kl_", "ll_100")):
                assert other[cell][0][name] == pytest.approx(value, rel=2e-4, abs=2e-4), name
