"""One invocation of a sweep: plan, claim the directory, run what is missing, derive the tables, judge by the ledger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from torch import cuda

from hvae_core.spec import check_precision
from sweeps.cell import Cell
from sweeps.claims import Claim
from sweeps.estimate import Estimate, estimate, probe
from sweeps.exits import COMPLETE, ERROR, INCOMPLETE, SIGNAL
from sweeps.files import write_bytes
from sweeps.grid import SweepSpec
from sweeps.job import Job, device_name
from sweeps.journal import Journal
from sweeps.ledger import Ledger, Pack
from sweeps.plan import Plan, plan_sweep, request_entry
from sweeps.progress import Progress
from sweeps.request import RunSettings
from sweeps.resources import Resources, local_memory
from sweeps.worker import tidy

PROBE_MODEL_STEPS = 100_000  # a run that trains more, and cannot be told from complete cells, is timed first
LONG_SECONDS = 3600.0


def run_sweep(
    ledger: Ledger,
    spec: SweepSpec,
    job: Job,
    settings: RunSettings,
    config: Mapping[str, Any],
    console: Console,
    probe_first: bool = False,
) -> tuple[int, Plan]:
    """Train every cell of the request that is not complete; returns the exit status and the plan it carried out.

    Raises HeldError if another run holds the directory, SpecError where Ray cannot do what was asked, and the
    errors of planning. The status comes from the ledger alone: 0 complete, 1 cells left behind by trouble with the
    machine, 3 some failed or diverged, 128 + n stopped by signal n.
    """
    plan = plan_sweep(ledger, spec, settings.retry_failed)  # what cannot be is refused before anything is written
    _say_other_bounds(ledger, plan, job, console)
    journal = Journal(settings.log, ledger, lambda line: say(console, line))
    if not plan.pending:
        tidy(ledger)
        with journal:
            return exit_status(ledger, plan.cells), plan
    ledger.root.mkdir(parents=True, exist_ok=True)
    with Claim(ledger.root / "claim"):
        for note in ledger.repair(spec.cells()):
            say(console, note)
        plan = plan_sweep(ledger, spec, settings.retry_failed)
        for cell in plan.retry:
            ledger.reopen(cell)
        signal = None
        with journal:
            if plan.pending:
                signal = _train(ledger, plan, job, settings, config, console, probe_first, journal)
        tidy(ledger)
        return (SIGNAL + signal if signal else exit_status(ledger, plan.cells)), plan


def record_request(
    ledger: Ledger, spec: SweepSpec, settings: RunSettings, ask: Resources, config: Mapping[str, Any], console: Console
) -> tuple[Plan, list[Pack]]:
    """Plan a request and write it down without running it; workers can take it up from there."""
    ledger.root.mkdir(parents=True, exist_ok=True)
    with Claim(ledger.root / "claim"):
        for note in ledger.repair(spec.cells()):
            say(console, note)
        plan = plan_sweep(ledger, spec, settings.retry_failed)
        for cell in plan.retry:
            ledger.reopen(cell)
        packs = plan.packs(ledger, settings.pack_size, ask)
        _write_request(ledger, plan, packs, config)
        _say_along(ledger, plan, packs, console)
    return plan, packs


def exit_status(ledger: Ledger, cells: Sequence[Cell]) -> int:
    """Exit status of a request as the ledger has it."""
    states = {ledger.state(cell.id) for cell in cells}
    if "pending" in states:
        return ERROR
    return INCOMPLETE if states & {"failed", "diverged"} else COMPLETE


def summary(plan: Plan) -> str:
    """One line of what a request has and still needs."""
    counts = plan.counts()
    parts = [f"{n} {name}" for name, n in counts.items() if n and name != "cells"]
    data = ", ".join(dict.fromkeys(f"{data.name}:{data.source}" for data in plan.spec.data))
    return f"cells: {counts['cells']} ({', '.join(parts)}) on {data}"


def say(console: Console, line: str) -> None:
    """Print one plain line of diagnostics."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def forecast(ledger: Ledger, plan: Plan, packs: Sequence[Pack], ask: Resources, job: Job, timed: bool) -> Estimate:
    """Estimate how long these packs take: from complete cells, else, if `timed`, from a few timed steps here."""
    job = replace(job, device=ask.device, threads=ask.threads)
    device = device_name(job.device) if ask.gpus == 0 or cuda.is_available() else "the GPUs elsewhere"
    found = estimate(ledger, plan, packs, ask.slots, device)
    if timed and found.wall_seconds is None:
        found = estimate(ledger, plan, packs, ask.slots, device, probe(job, ledger, plan, packs, device))
    return found


def _train(
    ledger: Ledger,
    plan: Plan,
    job: Job,
    settings: RunSettings,
    config: Mapping[str, Any],
    console: Console,
    probe_first: bool,
    journal: Journal,
) -> int | None:
    from sweeps import runner  # loading Ray takes seconds: only when there is something to train

    note: Callable[[str], None] = lambda line: say(console, line)  # noqa: E731
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = ledger.folder("runs") / f"{stamp}-{secrets.token_hex(3)}"
    with runner.engine(settings.address, folder) as interrupts:
        if settings.address != "local":
            runner.check_nodes(ledger.root, folder)
        ask = runner.resources(settings.gpus_per_trial, settings.cpus_per_trial, note)
        if settings.address == "local":
            ask = replace(ask, memory=local_memory(ask.gpus, ask.slots))
        check_precision(plan.spec.train.precision, ask.device)
        packs = plan.packs(ledger, settings.pack_size, ask)
        _write_request(ledger, plan, packs, config)
        note(summary(plan))
        _say_along(ledger, plan, packs, console)
        note(f"packs: {len(packs)}, one Ray Tune trial each, {ask}")
        large = probe_first or sum(cell.train.steps for cell in plan.pending) > PROBE_MODEL_STEPS
        expected = forecast(ledger, plan, packs, ask, job, timed=large and settings.address == "local")
        note(f"time: {expected.line}")
        if expected.wall_seconds is not None and expected.wall_seconds > LONG_SECONDS:
            note("over an hour: interrupt it at any time (Ctrl-C), the same command goes on where it was")
        options = {"cpus_per_trial": ask.cpus, "gpus_per_trial": ask.gpus, "max_failures": settings.max_failures}
        job = replace(job, device=ask.device, threads=ask.threads, options=tuple(options.items()))
        if interrupts.signal is None:
            with Progress(ledger, plan.pending, packs, console, journal.write):
                report = runner.run_packs(
                    job, packs, ask, folder, interrupts, settings.max_failures, settings.fail_fast
                )
            for trouble in dict.fromkeys(report.troubles):
                note(trouble)
            if report.failed_fast:
                note("stopped at the first failure, as --fail-fast asks; the same command runs the rest")
    if interrupts.signal is not None:
        note("stopped; the same command goes on from the checkpoints")
    return interrupts.signal


def _say_other_bounds(ledger: Ledger, plan: Plan, job: Job, console: Console) -> None:
    """Name complete cells whose L_100 is on another number of images: that makes no new cell, and means do not mix."""
    others = 0
    for cell in plan.cells:
        record = ledger.record(cell.id) if plan.found[cell.id] == "complete" else None
        match record.result if record is not None else None:
            case {"ll_examples": int(count), "test_examples": int(total)} if count != min(job.ll_examples, total):
                others += 1
    if others:
        say(console, f"note: --ll-examples {job.ll_examples} is for new cells; {others} complete ones keep their L_100")


def _say_along(ledger: Ledger, plan: Plan, packs: Sequence[Pack], console: Console) -> None:
    along = plan.along(ledger, packs)
    if along:
        say(console, f"note: {len(along)} more cells train along: earlier requests planned them in the same packs")


def _write_request(ledger: Ledger, plan: Plan, packs: Sequence[Pack], config: Mapping[str, Any]) -> None:
    ledger.add_request(request_entry(plan.spec, packs, config), plan.cells)
    again = f"hvae-sweep {config['command']} --config sweep.toml repeats it"
    text = f"# The last request in this directory, resolved: {again}.\n"
    said = {key: json.dumps(value, ensure_ascii=False) for key, value in config.items() if value is not None}
    text += "".join(f"{key} = {value}\n" for key, value in said.items())
    write_bytes(ledger.root / "sweep.toml", text.encode())
