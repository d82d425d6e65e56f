"""One invocation of a sweep: plan, claim the directory, run what is missing, judge by the ledger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from torch import cuda

from sweeps.errors import COMPLETE, ERROR, INCOMPLETE, SIGNAL
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.atomic_files import write_bytes
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger, Pack, Record
from sweeps.ledger.ownership import Ownership, TakenOverError
from sweeps.ledger.pack_progress import checkpointed
from sweeps.loggers.follower import Journal
from sweeps.planning.estimate import Estimate, estimate, probe
from sweeps.planning.pack_options import PackOptions, device_name
from sweeps.planning.plan import Plan, plan_sweep, request_entry
from sweeps.planning.resources import Resources, local_memory
from sweeps.planning.run_settings import RunSettings
from sweeps.running.pack import tidy
from sweeps.watching.live_progress import Progress

PROBE_MODEL_STEPS = 100_000  # a run that trains more, and cannot be told from complete cells, is timed first
LONG_SECONDS = 3600.0


@dataclass(frozen=True)
class Driver:
    """A request on its way into a results directory: what is asked for, how it is run, and where notes are printed.

    config: the settings as `--config` reads them back.
    """

    ledger: Ledger
    spec: SweepSpec
    settings: RunSettings
    config: Mapping[str, Any]
    options: PackOptions
    console: Console

    def plan(self) -> Plan:
        """Compare the request with what the directory holds."""
        return plan_sweep(self.ledger, self.spec, self.settings.retry_failed)

    def packs(self, plan: Plan, resources: Resources) -> list[Pack]:
        """Choose the packs of a plan, and name what they train beside what was asked for."""
        packs = plan.packs(self.ledger, self.settings.pack_size, resources)
        others = plan.cells_of_earlier_requests(self.ledger, packs)
        if others:
            self.say(f"note: {len(others)} more cells, of earlier requests, are in these packs and are trained too")
        return packs

    def run(self, probe_first: bool, follow: Callable[[int], None]) -> tuple[int, Plan]:
        """Train every cell of the request that is not complete; returns the exit status and the plan it carried out.

        `follow` is called about once a second, in a thread of its own, with the number of cells that have ended since.
        Raises HeldError if another run holds the directory, SpecError where Ray cannot do what was asked, and the
        errors of planning. The status comes from the ledger alone: 0 complete, 1 cells left behind by trouble with
        the machine, 3 some failed or diverged, 128 + n stopped by signal n.
        """
        plan = self.plan()  # raises before anything is written
        self._say_other_bounds(plan)
        journal = Journal(self.settings.log, self.ledger, self.say)
        if not plan.pending:
            tidy(self.ledger)
            with journal:
                return exit_status(self.ledger, plan.cells), plan
        self.ledger.root.mkdir(parents=True, exist_ok=True)
        with self._owning() as driver:
            plan = driver._prepared()
            signal = None
            with journal:
                if plan.pending:
                    signal = driver._train(plan, probe_first, journal, follow)
            tidy(self.ledger)
            return (SIGNAL + signal if signal else exit_status(self.ledger, plan.cells)), plan

    def record(self, resources: Resources) -> tuple[Plan, list[Pack]]:
        """Plan the request and write it down without running it; workers can take it up from there."""
        self.ledger.root.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                with self._owning() as driver:
                    plan = driver._prepared()
                    packs = driver.packs(plan, resources)
                    driver._write_request(plan, packs)
                    return plan, packs
            except TakenOverError as error:
                self.say(f"note: {error}; planning again beside what it recorded")

    @contextmanager
    def _owning(self) -> Iterator[Driver]:
        """Hold the results directory, and give this driver the right to record requests; raises HeldError."""
        root = self.ledger.root
        with Claim(root / "claim") as claim, Ownership(root, claim) as owner:
            yield replace(self, ledger=Ledger(root, owner))

    def forecast(self, plan: Plan, packs: Sequence[Pack], resources: Resources, timed: bool) -> Estimate:
        """Estimate how long these packs take: from complete cells, else, if `timed`, from a few timed steps here."""
        options = replace(self.options, device=resources.device, threads=resources.threads)
        here = resources.gpus == 0 or cuda.is_available()
        device = device_name(options.device) if here else "the GPUs elsewhere"
        found = estimate(self.ledger, plan, packs, resources.slots, device)
        if timed and here and found.wall_seconds is None:
            speeds = probe(options, self.ledger, plan, packs, device)
            found = estimate(self.ledger, plan, packs, resources.slots, device, speeds)
        return found

    def say(self, line: str) -> None:
        """Print one plain line of diagnostics."""
        say(self.console, line)

    def _prepared(self) -> Plan:
        """Set damaged files aside, open what is to be tried again, and plan what is then missing."""
        for reason in self.spec.left_out:
            self.say(f"note: left out, {reason}")
        for note in self.ledger.repair(self.spec.cells()):
            self.say(note)
        plan = self.plan()
        for cell in plan.retry:
            self.ledger.reopen(cell)
        return plan

    def _train(self, plan: Plan, probe_first: bool, journal: Journal, follow: Callable[[int], None]) -> int | None:
        """Run the plan's packs through Ray; returns the signal that stopped it, if one did."""
        from hvae_core.precision import check_precision  # loads torch
        from sweeps.running import ray_tune  # loading Ray takes seconds: only when there is something to train

        settings = self.settings
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = self.ledger.folder("runs") / f"{stamp}-{secrets.token_hex(3)}"
        with ray_tune.engine(settings.address, folder, self.say) as stop:
            if settings.address != "local":
                ray_tune.check_nodes(self.ledger.root, folder)
            resources = ray_tune.resources(settings.gpus_per_trial, settings.cpus_per_trial, self.say)
            if settings.address == "local":
                resources = replace(resources, memory=local_memory(resources.gpus, resources.slots))
            check_precision(self.spec.trains[0].precision, resources.device)
            packs = self.packs(plan, resources)
            self._write_request(plan, packs)
            self.say(summary(plan))
            self.say(f"packs: {len(packs)}, one Ray Tune trial each, {resources}")
            large = probe_first or sum(cell.train.steps for cell in plan.pending) > PROBE_MODEL_STEPS
            expected = self.forecast(plan, packs, resources, timed=large and settings.address == "local")
            self.say(f"time: {expected.line}")
            if expected.wall_seconds is not None and expected.wall_seconds > LONG_SECONDS:
                self.say("this takes over an hour; Ctrl-C interrupts it at any time, the same command resumes it")
            asked = {
                "cpus_per_trial": resources.cpus,
                "gpus_per_trial": resources.gpus,
                "max_failures": settings.max_failures,
            }
            options = replace(
                self.options, device=resources.device, threads=resources.threads, resources=tuple(asked.items())
            )
            for line in resumed(self.ledger, packs):
                self.say(line)

            def on_look(ended: Sequence[Record]) -> None:
                for record in ended:
                    journal.write(record)
                follow(len(ended))

            if stop.signal is None:
                with Progress(self.ledger, plan.pending, packs, self.console, on_look):
                    report = ray_tune.run_packs(
                        options, packs, resources, folder, stop, settings.max_failures, settings.fail_fast
                    )
                for trouble in dict.fromkeys(report.troubles):
                    self.say(trouble)
                if report.failed_fast:
                    self.say("stopped at the first failure (--fail-fast); run the same command again to train the rest")
        if stop.signal is not None:
            self.say("stopped; run the same command again to resume from the checkpoints")
        return stop.signal

    def _say_other_bounds(self, plan: Plan) -> None:
        """Name complete cells whose L_100 is on another number of images: that makes no new cell."""
        asked, others = self.options.ll_examples, 0
        for cell in plan.cells:
            record = self.ledger.record(cell.id) if plan.found[cell.id] == "complete" else None
            match record.result if record is not None else None:
                case {"ll_examples": int(count), "test_examples": int(total)} if count != min(asked, total):
                    others += 1
        if others:
            self.say(f"note: --ll-examples {asked} is for new cells; {others} complete ones keep their L_100")

    def _write_request(self, plan: Plan, packs: Sequence[Pack]) -> None:
        self.ledger.add_request(request_entry(plan.spec, packs, self.config), plan.cells)
        again = f"hvae-sweep {self.config['command']} --config sweep.toml repeats it"
        text = f"# The last request in this directory, resolved: {again}.\n"
        said = {key: json.dumps(value, ensure_ascii=False) for key, value in self.config.items() if value is not None}
        text += "".join(f"{key} = {value}\n" for key, value in said.items())
        text = text.replace("\x7f", r"\u007f")  # the one character that JSON leaves as it is and TOML does not allow
        write_bytes(self.ledger.root / "sweep.toml", text.encode(errors="surrogateescape"))


def exit_status(ledger: Ledger, cells: Sequence[Cell]) -> int:
    """Exit status of a request as the ledger has it."""
    states = {ledger.state(cell.id) for cell in cells}
    if "pending" in states:
        return ERROR
    return INCOMPLETE if states & {"failed", "diverged"} else COMPLETE


def resumed(ledger: Ledger, packs: Sequence[Pack]) -> list[str]:
    """Return one line that says at which steps interrupted packs go on, or none where all begin anew."""
    at = [step for pack in packs if (step := checkpointed(ledger.pack_path(pack.id)))]
    if not at:
        return []
    steps = f"step {at[0]:,}" if len(set(at)) == 1 else f"steps {min(at):,} to {max(at):,}"
    return [f"checkpoints: {len(at)} of {len(packs)} packs go on at {steps}"]


def summary(plan: Plan) -> str:
    """One line of what a request has and still needs."""
    counts = plan.counts()
    parts = [f"{n} {name}" for name, n in counts.items() if n and name != "cells"]
    data = ", ".join(dict.fromkeys(f"{data.name}:{data.source}" for data in plan.spec.data))
    return f"cells: {counts['cells']} ({', '.join(parts)}) on {data}"


def say(console: Console, line: str) -> None:
    """Print one plain line of diagnostics."""
    console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
