from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sweeps.running.part as module
from hvae_core.data import DataError, Dataset
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.training.trainer import train_pack
from sweeps import load_cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger, LedgerError, Pack
from sweeps.ledger.pack_progress import Pace, checkpointed
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running import pack as pack_module
from sweeps.running.pack import run_pack, tidy
from sweeps.running.part import PackRun


@pytest.fixture
def options(ledger: Ledger, spec: SweepSpec) -> PackOptions:
    return PackOptions(
        str(ledger.root),
        references=((spec.data[0].name, spec.data[0].checksum, spec.data[0].reference),),
        ll_examples=7,
    )


@pytest.fixture
def packs(ledger: Ledger, spec: SweepSpec) -> list[Pack]:
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    return packs


def read(ledger: Ledger, cell_id: str) -> dict[str, object]:
    path = ledger.cell_path(cell_id)
    return {name: (path / name).read_bytes() for name in ("history.csv", "weights.safetensors")} | {
        "result": {k: v for k, v in json.loads((path / "result.json").read_text()).items() if k != "seconds"}
    }


def test_a_pack_becomes_one_record_per_cell(
    ledger: Ledger, spec: SweepSpec, options: PackOptions, packs: list[Pack]
) -> None:
    assert run_pack(replace(options, eval_every=5), packs[0]) == "complete"
    for cell_id in packs[0].cells:
        record = ledger.record(cell_id)
        assert record is not None
        assert record.result is not None
        r = record.result
        assert r["elbo"] == pytest.approx(r["recon"] - r["kl_total"], abs=1e-9)
        assert r["kl_total"] == pytest.approx(r["kl_1"] + r["kl_2"], abs=1e-9)
        assert (r["kl_top"], r["au_top"]) == (r["kl_2"], r["au_2"])
        assert r["ll_100"] > r["elbo"] - 5 * r["ll_100_se"]
        assert (r["ll_examples"], r["test_examples"], r["pack_size"]) == (7, 30, 2)
        with (ledger.cell_path(cell_id) / "history.csv").open() as file:
            assert [row["step"] for row in csv.DictReader(file)] == ["5", "10", "12"]
        facts = json.loads((ledger.cell_path(cell_id) / "provenance.json").read_text())
        assert facts["config"] == record.cell.config
        cells = list(packs[0].cells)
        assert facts["pack"] == {"id": packs[0].id, "cells": cells, "trained_with": cells}
        assert facts["versions"]["torch"] == torch.__version__
        assert facts["data"]["checksum"] == spec.data[0].checksum
    assert not ledger.pack_path(packs[0].id).exists(), "checkpoints go when a pack is complete"


def test_a_loaded_cell_is_the_measured_model(
    ledger: Ledger, bars: Dataset, options: PackOptions, packs: list[Pack]
) -> None:
    """Load one member alone from its folder and measure it again: the record's numbers."""
    run_pack(options, packs[1])
    for cell_id in packs[1].cells:
        record = ledger.record(cell_id)
        assert record is not None
        assert record.result is not None
        trained = load_cell(ledger.cell_path(cell_id))
        assert trained.cell == record.cell
        again = evaluate(trained.model, torch.from_numpy(bars.test), [trained.cell.member.seed], "test").row(0)
        for name, value in again.items():
            assert record.result[name] == pytest.approx(value, abs=1e-4), name


def test_weights_that_are_none_are_refused_in_one_line(ledger: Ledger, options: PackOptions, packs: list[Pack]) -> None:
    run_pack(options, packs[0])
    folder = ledger.cell_path(packs[0].cells[0])
    file = folder / "weights.safetensors"
    for damage in (b"", file.read_bytes()[:-8], b"\x80\x04garbage", None):
        file.unlink()
        if damage is not None:
            file.write_bytes(damage)
        with pytest.raises(LedgerError, match="weights") as error:
            load_cell(folder)
        assert "\n" not in str(error.value)
        file.touch()


def test_a_stopped_pack_goes_on_to_the_same_bits(
    ledger: Ledger,
    spec: SweepSpec,
    options: PackOptions,
    packs: list[Pack],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped before the end and run again: every file of every cell as in an undisturbed run elsewhere."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 2

    eager = replace(options, eval_every=4)
    assert run_pack(eager, packs[0], stop) == "stopped"
    assert {ledger.state(cell) for cell in packs[0].cells} == {"pending"}
    reached = checkpointed(ledger.pack_path(packs[0].id))
    assert reached > 0
    paces: list[Pace] = []
    with monkeypatch.context() as patch:
        patch.setattr(Pace, "write", lambda pace, folder: paces.append(pace))
        assert run_pack(eager, packs[0]) == "complete"
    assert {pace.resumed_at for pace in paces} == {reached}
    calm = Ledger(tmp_path / "calm")
    calm.root.mkdir()
    calm.add_request(request_entry(spec, packs, {}), spec.cells())
    assert run_pack(replace(eager, root=str(calm.root)), packs[0]) == "complete"
    for cell_id in packs[0].cells:
        assert read(ledger, cell_id) == read(calm, cell_id)


def test_killed_between_two_records_the_rest_follows_in_the_same_company(
    ledger: Ledger, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = packs[0].cells
    complete = Ledger.complete

    def killed(self: Ledger, cell, *rest) -> None:  # type: ignore[no-untyped-def]
        if cell.id == second:
            raise KeyboardInterrupt
        complete(self, cell, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "complete", killed)
        with pytest.raises(KeyboardInterrupt):
            run_pack(options, packs[0])
    before = (ledger.cell_path(first) / "result.json").stat().st_mtime_ns
    assert (ledger.state(first), ledger.state(second)) == ("complete", "pending")
    assert run_pack(options, packs[0]) == "complete"
    assert (ledger.cell_path(first) / "result.json").stat().st_mtime_ns == before
    record = ledger.record(second)
    assert record is not None
    assert record.result is not None
    assert record.result["pack_size"] == 2


def test_a_held_pack_is_left_to_its_holder(ledger: Ledger, options: PackOptions, packs: list[Pack]) -> None:
    with Claim(ledger.pack_path(packs[0].id) / "claim"):
        assert run_pack(options, packs[0]) == "held"
    assert ledger.state(packs[0].cells[0]) == "pending"


def test_what_training_raises_is_recorded_with_its_last_lines(
    ledger: Ledger, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the reason")

    monkeypatch.setattr(module, "train_pack", broken)
    assert run_pack(options, packs[0]) == "failed"
    record = ledger.record(packs[0].cells[0])
    assert record is not None
    assert record.failure is not None
    assert record.failure["kind"] == "error"
    assert "the reason" in record.failure["lines"][-1]
    assert ledger.state(packs[1].cells[0]) == "pending"


def test_a_diverged_member_is_recorded_alone(ledger: Ledger, spec: SweepSpec, options: PackOptions) -> None:
    """A learning rate that no float survives takes every member; a NaN put into one member takes only that one."""
    wild = replace(spec, trains=(replace(spec.trains[0], lr=1e30),))
    plan = plan_sweep(ledger, wild)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(wild, packs, {}), plan.cells)
    assert run_pack(options, packs[0]) == "failed"
    record = ledger.record(packs[0].cells[0])
    assert record is not None
    assert record.state == "diverged"
    assert record.failure is not None
    assert 1 <= record.failure["step"] <= 12


def test_trouble_with_disk_or_data_is_no_failure_of_the_cells(
    ledger: Ledger, spec: SweepSpec, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_pack", full)
        with pytest.raises(OSError, match="No space"):
            run_pack(options, packs[0])
    assert ledger.state(packs[0].cells[0]) == "pending"
    images = dict(np.load(spec.data[0].reference))
    images["train"][0] ^= 1
    np.savez(spec.data[0].reference, **images)
    with pytest.raises(DataError, match="changed since it was planned"):
        run_pack(options, packs[0])
    assert ledger.state(packs[0].cells[0]) == "pending"


def test_bound_can_be_left_out_and_weights_too(ledger: Ledger, options: PackOptions, packs: list[Pack]) -> None:
    assert run_pack(replace(options, ll_examples=0, keep="none"), packs[0]) == "complete"
    record = ledger.record(packs[0].cells[0])
    assert record is not None
    assert record.result is not None
    assert "ll_100" not in record.result
    assert not (ledger.cell_path(packs[0].cells[0]) / "weights.safetensors").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_a_pack_that_does_not_fit_into_memory_is_trained_in_parts(
    ledger: Ledger,
    spec: SweepSpec,
    options: PackOptions,
    packs: list[Pack],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Four members where two fit: halved once; stopped in the second half it goes on in halves, to the same bits."""
    whole, options = Pack(packs[0].cells + packs[1].cells), replace(options, eval_every=4)
    halves = Ledger(tmp_path / "halves")
    halves.root.mkdir()
    halves.add_request(request_entry(spec, [], {}), spec.cells())
    for n in (0, 2):
        assert run_pack(replace(options, root=str(halves.root)), Pack(whole.cells[n : n + 2])) == "complete"
    sizes, said = list[int](), list[str]()

    def scarce(spec, members, *rest, **keywords):  # type: ignore[no-untyped-def]
        sizes.append(len(members))
        if len(members) > 2:
            raise error
        return train_pack(spec, members, *rest, **keywords)

    monkeypatch.setattr(module, "train_pack", scarce)
    assert run_pack(options, whole, lambda: len(sizes) == 3, said.append) == "stopped"
    assert [ledger.state(cell) for cell in whole.cells] == ["complete", "complete", "pending", "pending"]
    assert run_pack(options, whole, note=said.append) == "complete"
    assert sizes == [4, 2, 2, 2]
    assert said == [f"pack {whole.id}: 4 models do not fit into memory at once; trained in 2 parts"]
    for cell in whole.cells:
        assert read(ledger, cell) == read(halves, cell)
    assert not ledger.pack_path(whole.id).exists()


def test_a_model_that_does_not_fit_alone_fails(
    ledger: Ledger, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*rest: object, **keywords: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(module, "train_pack", full)
    assert run_pack(options, packs[0]) == "failed"
    assert {ledger.state(cell) for cell in packs[0].cells} == {"failed"}


def test_a_worker_that_was_suspended_at_the_very_end_removes_no_checkpoints(
    ledger: Ledger, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are another's, who has taken the pack over: some of its cells have been opened again."""
    others, train = ledger.pack_path(packs[0].id) / "checkpoint-5", pack_module._train

    def taken_over(run: PackRun) -> None:
        train(run)
        run.owner.staging.rmdir()
        others.mkdir()

    monkeypatch.setattr(pack_module, "_train", taken_over)
    assert run_pack(options, packs[0]) == "held"
    assert others.is_dir()


@pytest.mark.parametrize("when", ["evaluated", "complete"])
def test_a_worker_that_was_suspended_writes_nothing_over_its_successors_results(
    ledger: Ledger, options: PackOptions, packs: list[Pack], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """At an evaluation, and in the midst of recording a cell, the first sleeps until a second has finished the pack."""
    options, pack = replace(options, eval_every=4), packs[0]
    said, slept, before = list[str](), list[str](), dict[Path, bytes]()

    def sleep() -> None:
        slept.append(when)
        with monkeypatch.context() as patch:  # the claim has expired
            patch.setattr("sweeps.ledger.claims.is_live", lambda path, content: False)
            assert run_pack(options, pack) == "complete"
        before.update({path: path.read_bytes() for path in ledger.root.glob("cells/*/*")})

    def sleeping_once(original: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*given: Any, **more: Any) -> None:
            if not slept:
                sleep()
            original(*given, **more)

        return wrapped

    if when == "evaluated":
        monkeypatch.setattr(module.PartFollower, "evaluated", sleeping_once(module.PartFollower.evaluated))
    else:
        monkeypatch.setattr("sweeps.ledger.ledger.write_json", sleeping_once(write_json))
    assert run_pack(options, pack, note=said.append) == "held"
    assert slept
    assert {path: path.read_bytes() for path in ledger.root.glob("cells/*/*")} == before
    assert not any(record.damage for record in ledger.records())
    assert [ledger.state(cell) for cell in pack.cells] == ["complete"] * len(pack.cells)
    assert said == [f"pack {pack.id}: another worker took it over while this one was suspended; going on to the next"]
    tidy(ledger)
    assert not ledger.pack_path(pack.id).exists()
