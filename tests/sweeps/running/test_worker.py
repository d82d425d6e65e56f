"""Workers without Ray that share a directory: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli
from hvae_core.data import load_dataset
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger, Pack
from sweeps.ledger.pack_progress import checkpointed
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.pack import run_pack
from sweeps.running.worker import _device, held_elsewhere, work_through

COMMAND = str(Path(sys.executable).with_name("hvae-sweep"))
GRID = ["--model", "mlp2x3h6", "--datasets", "bars.npz", "--ou-samples", "2", "--batch-size", "8", "--ll-examples", "0"]


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], cwd=here, capture_output=True, text=True, timeout=300, check=False)


def results(root: Path) -> dict[str, dict[str, object]]:
    ledger = Ledger(root)
    found = {cell: json.loads((ledger.cell_path(cell) / "result.json").read_text()) for cell in ledger.cell_ids()}
    return {cell: {k: v for k, v in result.items() if k != "seconds"} for cell, result in found.items()}


def planned(ledger: Ledger, spec: SweepSpec) -> list[Pack]:
    """Record a request of two packs, one for each seed."""
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {"ll_examples": 0}), plan.cells)
    return packs


@pytest.mark.timeout(150)
def test_three_workers_one_killed_equal_one_alone(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    write_images(tmp_path / "bars.npz")
    request = [
        "rho",
        *GRID,
        "--rho",
        "0.5",
        "0.9",
        "1",
        "--seeds",
        "2",
        "--pack",
        "1",
        "--steps",
        "500",
        "--plan-only",
    ]
    for out in ("shared", "alone"):
        assert run(tmp_path, *request, "--out", out).returncode == 0
    workers = [
        subprocess.Popen([COMMAND, "work", "shared"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    deadline = time.monotonic() + 60
    victim = None
    while victim is None and time.monotonic() < deadline:
        for path in (tmp_path / "shared").glob("packs/*/claim"):
            holder = json.loads(path.read_text())["pid"]
            victim = holder if holder == workers[0].pid else victim
        time.sleep(0.02)
    assert victim is not None, "the first worker never held a pack"
    os.kill(victim, signal.SIGKILL)
    ends = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, 0, 0], ends
    assert run(tmp_path, "work", "alone").returncode == 0
    assert results(tmp_path / "shared") == results(tmp_path / "alone")
    said = [line for end in ends for line in end.splitlines() if "top KL" in line]
    assert len(said) == len(set(said)), "no cell was trained to its end twice"
    assert not list((tmp_path / "shared").glob("packs/*/*")), "nothing is left of the packs"


@pytest.mark.timeout(100)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)], ids=["TERM", "USR1"])
def test_a_worker_asked_to_stop_leaves_a_checkpoint(
    tmp_path: Path, write_images: Callable[..., Path], number: signal.Signals, code: int
) -> None:
    write_images(tmp_path / "bars.npz")
    assert run(tmp_path, "rho", *GRID, "--rho", "0.5", "--steps", "100000", "--plan-only").returncode == 0
    worker = subprocess.Popen([COMMAND, "work", "results"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "results").glob("packs/*/progress.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.send_signal(number)
    assert worker.wait(timeout=20) == code
    assert list((tmp_path / "results").glob("packs/*/checkpoint-*"))
    assert not list((tmp_path / "results").glob("packs/*/claim"))


def test_what_others_hold_is_no_failure_of_a_worker_that_does_not_wait(ledger: Ledger, spec: SweepSpec) -> None:
    first, second = planned(ledger, spec)
    with Claim(ledger.pack_path(first.id) / "claim"):
        done = CliRunner().invoke(cli.sweep, ["work", str(ledger.root), "--no-wait"])
        assert done.exit_code == 0, done.stderr
        assert [ledger.state(cell) for cell in (*first.cells, *second.cells)] == ["pending"] * 2 + ["complete"] * 2
        assert held_elsewhere(ledger) == set(first.cells)
    assert held_elsewhere(ledger) == set(), "what nobody holds is nobody else's"


def test_data_that_are_gone_keep_no_worker_from_the_rest(
    ledger: Ledger,
    spec: SweepSpec,
    tmp_path: Path,
    write_images: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looks at each pack that it cannot do once: while it holds such a claim, those who could do it see it taken."""
    tried: list[str] = []

    def train(options: PackOptions, pack: Pack, *more: Any) -> str:
        tried.append(pack.id)
        return run_pack(options, pack, *more)

    monkeypatch.setattr("sweeps.running.worker.run_pack", train)
    planned(ledger, spec)
    other = write_images(tmp_path / "other.npz", side=5)
    data = DataSource.of(str(other), load_dataset(str(other)))
    lost = replace(spec, data=(data,))
    plan = plan_sweep(ledger, lost)
    entry = request_entry(lost, plan.packs(ledger), {"ll_examples": 0})
    ledger.add_request(entry, plan.cells)
    other.unlink()
    signal_, troubles = work_through(ledger, True, lambda line: None, lambda ended: None)
    assert signal_ is None
    assert len(troubles) == 1
    assert "other.npz" in troubles[0]
    assert {ledger.state(cell.id) for cell in spec.cells()} == {"complete"}
    assert {ledger.state(cell.id) for cell in lost.cells()} == {"pending"}
    assert len(tried) == len(set(tried)) == len(ledger.packs())


def test_a_request_without_gpus_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert [_device({"settings": s}) for s in ({}, {"gpus_per_trial": 1}, {"gpus_per_trial": 0})] == [
        "cuda",
        "cuda",
        "cpu",
    ]


def test_a_worker_that_does_not_wait_looks_again_after_work(
    ledger: Ledger, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of the first pack dies while the second is trained."""
    first, second = planned(ledger, spec)
    holder = Claim(ledger.pack_path(first.id) / "claim")
    holder.__enter__()

    def train(options: PackOptions, pack: Pack, *more: Any) -> str:
        outcome = run_pack(options, pack, *more)
        if pack == second:
            holder.__exit__(None, None, None)
        return outcome

    monkeypatch.setattr("sweeps.running.worker.run_pack", train)
    followed: list[int] = []
    assert work_through(ledger, False, lambda line: None, followed.append) == (None, [])
    assert sum(followed) == len(first.cells) + len(second.cells)
    assert {ledger.state(cell) for cell in (*first.cells, *second.cells)} == {"complete"}


def test_a_worker_says_where_an_interrupted_pack_goes_on(ledger: Ledger, spec: SweepSpec) -> None:
    first, _ = planned(ledger, spec)
    options, said = PackOptions.of(ledger.root, ledger.requests()[0]), list[str]()
    looks = iter([False, False, True])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hvae_core.training.trainer.LOOK_SECONDS", 0.0)
        assert run_pack(options, first, lambda: next(looks, True)) == "stopped"
    step = checkpointed(ledger.pack_path(first.id))
    assert step > 0
    work_through(ledger, False, said.append, lambda ended: None)
    assert [line for line in said if "goes on" in line] == [f"pack {first.id}: goes on at step {step}"]
