"""A request from the command line: its settings checked and resolved, and what it would train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hvae_core.data.sources import expanded
from sweeps.commands.facts import print_facts
from sweeps.ledger.locate import ledger_at
from sweeps.loggers.registry import check_loggers
from sweeps.options.click_commands import console
from sweeps.options.request import resolved, run_settings, sweep_spec

if TYPE_CHECKING:
    from sweeps.planning.resources import Resources
    from sweeps.running.driver import Driver


def driver_of(command: str, given: dict[str, Any], models: Sequence[str], objectives: Sequence[Any]) -> Driver:
    """Check the settings of a request and resolve its data; raises SpecError or DataError."""
    from sweeps.planning.pack_options import PackOptions
    from sweeps.running.driver import Driver

    ledger, settings = ledger_at("out", given["out"]), run_settings(given)
    check_loggers(settings.log)
    spec = sweep_spec(given, models, objectives)
    if given["data_dir"] is not None:
        given["data_dir"] = str(expanded(Path(given["data_dir"])).absolute())
    recorded = {name: value for name, value in given.items() if name not in ("out", "config", "preset", "quick")}
    config = resolved(command, recorded, spec)
    options = PackOptions.of(ledger.root, {"settings": config, "request": spec.to_dict()})
    return Driver(ledger, spec, settings, config, options, console())


def print_plan(driver: Driver, resources: Resources, dry_run: bool, probe: bool, as_json: bool) -> None:
    """Print what a request would train and how long that takes; record it unless this is a dry run."""
    if dry_run:
        plan = driver.plan()
        packs = driver.packs(plan, resources)
    else:
        plan, packs = driver.record(resources)
    expected = driver.forecast(plan, packs, resources, timed=probe)
    facts = {"data": [source.reference for source in driver.spec.data], **plan.counts(), "packs": len(packs)}
    if as_json:
        of_a_trial = {name: getattr(resources, name) for name in ("cpus", "gpus", "slots")}
        print_facts({**facts, "resources": of_a_trial, "estimate": expected.to_dict()}, as_json)
    else:
        click.echo("\n".join(plan.table()))
        print_facts({**facts, "resources": str(resources), "estimate": expected.line}, as_json)
