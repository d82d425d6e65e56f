"""One invocation of a sweep: plan, claim the directory, run what is missing, derive the tables, judge by the ledger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from hvae_core.spec import SpecError
from sweeps.cell import Cell
from sweeps.claims import Claim
from sweeps.exits import COMPLETE, ERROR, INCOMPLETE, SIGNAL
from sweeps.files import write_bytes
from sweeps.grid import SweepSpec
from sweeps.ledger import Ledger, Pack
from sweeps.plan import Plan, plan_sweep, request_entry
from sweeps.progress import Progress
from sweeps.request import RunSettings
from sweeps.worker import Job


def run_sweep(
    ledger: Ledger, spec: SweepSpec, job: Job, settings: RunSettings, config: Mapping[str, Any], console: Console
) -> tuple[int, Plan]:
    """Train every cell of the request that is not complete; returns the exit status and the plan it carried out.

    Raises HeldError if another run holds the directory, SpecError where Ray cannot do what was asked, and the
    errors of planning. The status comes from the ledger alone: 0 complete, 1 cells left behind by trouble with the
    machine, 3 some failed or diverged, 128 + n stopped by signal n.
    """
    plan = plan_sweep(ledger, spec, settings.retry_failed)  # what cannot be is refused before anything is written
    if not plan.pending:
        return status(ledger, plan.cells), plan
    ledger.root.mkdir(parents=True, exist_ok=True)
    with Claim(ledger.root / "claim"):
        for note in ledger.repair(spec.cells()):
            say(console, note)
        plan = plan_sweep(ledger, spec, settings.retry_failed)
        for cell in plan.retry:
            ledger.reopen(cell)
        signal = None
        if plan.pending:
            signal = _train(ledger, plan, job, settings, config, console)
        return (SIGNAL + signal if signal else status(ledger, plan.cells)), plan


def record_request(
    ledger: Ledger, spec: SweepSpec, settings: RunSettings, slots: int, config: Mapping[str, Any]
) -> tuple[Plan, list[Pack]]:
    """Plan a request and write it down without running it; workers can take it up from there."""
    ledger.root.mkdir(parents=True, exist_ok=True)
    with Claim(ledger.root / "claim"):
        ledger.repair(spec.cells())
        plan = plan_sweep(ledger, spec, settings.retry_failed)
        for cell in plan.retry:
            ledger.reopen(cell)
        packs = plan.packs(ledger, settings.pack_size, slots)
        _write_request(ledger, plan, packs, config)
    return plan, packs


def status(ledger: Ledger, cells: Sequence[Cell]) -> int:
    """Exit status of a request as the ledger has it."""
    states = {ledger.state(cell.id) for cell in cells}
    if "pending" in states:
        return ERROR
    return INCOMPLETE if states & {"failed", "diverged"} else COMPLETE


def summary(plan: Plan) -> str:
    """One line of what a request has and still needs."""
    counts = plan.counts()
    parts = [f"{n} {name}" for name, n in counts.items() if n and name != "total"]
    data = ", ".join(dict.fromkeys(f"{data.name}:{data.source}" for data in plan.spec.data))
    return f"cells: {counts['total']} ({', '.join(parts)}) on {data}"


def say(console: Console, line: str) -> None:
    """Print one plain line of diagnostics."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _train(
    ledger: Ledger, plan: Plan, job: Job, settings: RunSettings, config: Mapping[str, Any], console: Console
) -> int | None:
    from sweeps import runner  # loading Ray takes seconds: only when there is something to train

    note: Callable[[str], None] = lambda line: say(console, line)  # noqa: E731
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = ledger.root / "runs" / f"{stamp}-{secrets.token_hex(3)}"
    with runner.engine(settings.address, folder):
        ask = runner.resources(settings.gpus_per_trial, settings.cpus_per_trial, note)
        packs = plan.packs(ledger, settings.pack_size, ask.slots)
        _write_request(ledger, plan, packs, config)
        note(summary(plan))
        unit = "GPU" if ask.gpus else "CPU core"
        note(f"packs: {len(packs)}, one Ray Tune trial each, {ask.slots} at once, {ask.gpus or ask.cpus:g} {unit} each")
        options = {"cpus_per_trial": ask.cpus, "gpus_per_trial": ask.gpus, "max_failures": settings.max_failures}
        job = replace(job, options=tuple(options.items()))
        with Progress(ledger, plan.pending, packs, console):
            report = runner.run_packs(job, packs, ask, folder, settings.max_failures, settings.fail_fast)
    for trouble in dict.fromkeys(report.troubles):
        note(trouble)
    if report.signal:
        note("stopped; the same command goes on from the checkpoints")
    return report.signal


def _write_request(ledger: Ledger, plan: Plan, packs: Sequence[Pack], config: Mapping[str, Any]) -> None:
    ledger.add_request(request_entry(plan.spec, packs, config), plan.cells)
    text = "# The last request in this directory, resolved: hvae-sweep rho --config sweep.toml repeats it.\n"
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in config.items() if value is not None)
    write_bytes(ledger.root / "sweep.toml", text.encode())


def ledger_at(name: str, text: str) -> Ledger:
    """Open a results directory by an absolute path; raises SpecError, naming the argument, if it cannot be one."""
    path = Path(text).expanduser().absolute()
    if not text:
        raise SpecError(f"{name}: an empty path is not allowed; it must be a directory")
    for part in (path, *path.parents):
        if (part.exists() and not part.is_dir()) or (part.is_symlink() and not part.exists()):
            raise SpecError(f"{name}: {text!r} is not allowed: {part} is no directory")
    return Ledger(path)
