"""Command line: `hvae-sweep` trains grids of hierarchical VAEs; `hvae-plot` is in analysis/command.py.

Parses, calls, prints. Data goes to stdout, progress and diagnostics to stderr. Exit status: 0 all complete, 1 error,
2 usage, 3 some cells failed or diverged, 4 nothing to plot, 5 another run holds the directory, 130/143 interrupted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich_click import RichCommandPanel

from analysis.command import plot
from analysis.evaluate_command import evaluate
from hvae_core.checks import SpecError
from sweeps.commands.cluster import cancel, submit
from sweeps.commands.facts import print_facts
from sweeps.commands.housekeeping import clean, data
from sweeps.commands.looking import show, status
from sweeps.commands.memory import memory
from sweeps.commands.request import driver_of, print_plan
from sweeps.errors import ERROR, SIGNAL
from sweeps.grid.declared import BY_NAME
from sweeps.ledger.locate import ledger_at
from sweeps.ledger.validation import is_untrained
from sweeps.options import completion, values
from sweeps.options.click_commands import CONTEXT, Group, console, fail, layer_options, setting, spelled, together
from sweeps.options.declared import (
    DATASETS,
    MODEL,
    NULL,
    OBJECTIVE,
    OU_SAMPLES,
    RUNNING,
    TRAINING,
    axis,
    declared,
    rho_setting,
)
from sweeps.options.presets import RHO_GRID
from sweeps.options.request import (
    MAPS,
    grid_models,
    method_objectives,
    rho_objectives,
)
from sweeps.planning.resources import local_resources, planned_resources

if TYPE_CHECKING:
    from analysis.adaptive.rounds import AdaptiveSweep
    from sweeps.ledger.ledger import Ledger

__all__ = ["plot", "sweep"]

FAMILIES = ("mlp", "conv", "resnet")  # of depth-width grids
ASIDE = ("dry_run", "plan_only", "workers", "probe", "as_json")  # of a request's settings: not recorded


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    panels=[
        RichCommandPanel("Sweep", commands=["rho", "depth-width", "methods", "calibrate", "memory"]),
        RichCommandPanel("Look", commands=["status", "show", "evaluate"]),
        RichCommandPanel("Cluster", commands=["work", "submit", "cancel"]),
        RichCommandPanel("Housekeeping", commands=["clean", "data"]),
    ],
)
@click.version_option(metadata.version("hvae-sweep"), prog_name="hvae-sweep")
def sweep() -> None:
    """Train grids of hierarchical VAEs and measure the unsmoothed models."""


for command in (memory, evaluate, status, show, submit, cancel, clean, data):
    sweep.add_command(command)


@sweep.command(
    examples=[
        "hvae-sweep rho --model mlp4x40 --datasets mnist omniglot",
        "hvae-sweep rho --quick --refine 0.02 --out results/refined",
    ]
)
@together(
    MODEL,
    DATASETS,
    NULL,
    rho_setting(*RHO_GRID),
    setting(
        "--refine",
        type=float,
        metavar="WIDTH",
        help="Add rho values and seeds until the 90 % interval of rho_c is at most WIDTH wide.",
    ),
    setting(
        "--budget",
        type=click.IntRange(1),
        metavar="CELLS",
        help="With --refine: largest number of cells of the whole sweep.",
    ),
    OBJECTIVE,
    TRAINING,
    RUNNING,
    layer_options("rho"),
)
@click.pass_context
def rho(ctx: click.Context, /, **given: Any) -> int:
    """Sweep the smoothing rho, as in the paper's Figure 1.

    The same command again trains exactly what is missing. With --refine the sweep starts with a few rho values and
    three seeds, and adds others round by round where the top layer collapses.
    """
    if given["refine"] is None:
        if given["budget"] is not None:
            raise SpecError(f"budget: {given['budget']} is for --refine")
        return _request(given, values.items("model", given["model"]), rho_objectives(given))
    from analysis.adaptive.refine import starting_values

    typed = [None if _is_default(ctx, name) else given[name] for name in ("rho", "seeds")]
    given["rho"], given["seeds"] = starting_values(*typed)
    return _refine(given)


@sweep.command(
    examples=["hvae-sweep methods --preset table4 --quick", "hvae-sweep methods --methods vae hvae iwae --rho 0.8 0.9"]
)
@together(
    MODEL,
    DATASETS,
    NULL,
    setting(
        "--methods",
        multiple=True,
        default=["vae", "hvae"],
        metavar="METHOD...",
        shell_complete=completion.methods,
        help="vae, hvae, hvae-ratio, lvae, biva, vampprior, kl-anneal, free-bits, iwae, or parts joined by +: "
        "hvae+kl-anneal, lvae+skip, lvae+ou.",
    ),
    rho_setting("0.8"),
    OU_SAMPLES,
    setting("--kl-anneal", metavar="A:B", help=BY_NAME["kl_anneal"].help),
    setting(
        "--free-bits",
        multiple=True,
        metavar="NATS...",
        help="Free bits: minimum KL of each layer, in nats; one model for each value.",
    ),
    setting("--iwae-k", type=int, default=5, help="Importance samples of the method iwae."),
    declared("pseudo_inputs"),
    TRAINING,
    RUNNING,
    layer_options("methods"),
)
def methods(**given: Any) -> int:
    """Compare training methods, as in the paper's Tables 1 to 5 and Figure 2."""
    objectives = method_objectives(given)
    for flag, used in (("--free-bits", "free_bits"), ("--kl-anneal", "kl_anneal")):
        typed = not _is_default(click.get_current_context(), used)
        if typed and given[used] and all(getattr(objective, used) is None for objective in objectives):
            click.echo(f"note: {flag} is used by none of these methods", err=True)
    return _request(given, values.items("model", given["model"]), objectives)


@sweep.command(
    "depth-width",
    examples=[
        "hvae-sweep depth-width --preset figure3 --quick",
        "hvae-sweep depth-width --family conv --depths 1:4 --widths 2 4 8 --maps 7x7",
    ],
)
@together(
    setting("--depths", multiple=True, default=["1:5"], metavar="N...", help="Stochastic layers; 1:5 is a range."),
    setting(
        "--widths",
        multiple=True,
        default=["10,20,40,60,80,100"],
        metavar="N...",
        help="Units of each layer; with --family conv or resnet, its maps.",
    ),
    setting("--family", type=click.Choice(FAMILIES), default=FAMILIES[0], help="Kind of network."),
    setting("--maps", metavar="HxW", help=f"Height and width of the maps of conv and resnet.  [default: {MAPS}]"),
    setting(
        "--hidden",
        type=int,
        help="Hidden width of every network: tanh units, or filters.  [default: 200, 32 of conv, 64 of resnet]",
    ),
    DATASETS,
    NULL,
    rho_setting("1", "0.8"),
    OBJECTIVE,
    TRAINING,
    RUNNING,
    layer_options("depth-width"),
)
def depth_width(**given: Any) -> int:
    """Sweep the number of stochastic layers and their width, as in the paper's Figure 3."""
    return _request(given, grid_models(given), rho_objectives(given))


@sweep.command(
    examples=["hvae-sweep calibrate --out results/calibration", "hvae-sweep calibrate --seeds 5 --steps 20000"]
)
@together(
    rho_setting("0.6:1:0.02"),
    setting(
        "--seeds",
        multiple=True,
        default=["3"],
        metavar="N|SEEDS",
        help="Number of seeds, or a list of them: 0,1,7 or 4:9.",
    ),
    axis("steps", 6000),
    axis("batch_size", 64),
    axis("lr", 3e-3),
    setting(
        "--eval-every",
        type=int,
        default=0,
        help="Evaluate on validation images every so many steps; 0: at the end only.",
    ),
    RUNNING,
)
def calibrate(**given: Any) -> int:
    """Train linear models whose critical rho is known in closed form, to check this tool.

    Two-layer linear models with one mode and with eight, for several lambda/s^2, K and beta, run through the same
    code as every other model. It takes minutes on two CPU cores. Draw the comparison with hvae-plot calibration.
    """
    from sweeps.options.calibration import MODELS, PACK, coins, objectives

    root = ledger_at("out", given["out"]).root
    where = Path(click.get_current_context().with_resource(TemporaryDirectory())) if given["dry_run"] else root
    fixed = {"precision": "float32", "mixture": 1, "binarise": "static", "ll_examples": 0, "data_dir": None}
    if given["pack"] == "auto":
        given["pack"] = str(PACK)
    given |= {"model": MODELS, "datasets": [str(coins(where))], **fixed}
    return _request(given, MODELS, objectives(values.floats("rho", given["rho"])))


@sweep.command(examples=["hvae-sweep work results/", "hvae-sweep work results/ --no-wait"])
@click.argument("directory", type=click.Path())
@click.option("--wait/--no-wait", default=True, help="Wait for the models that other workers are training.")
def work(directory: str, wait: bool) -> int:
    """Run one worker, which trains what was recorded in DIRECTORY with --plan-only until nothing is left.

    It does not use Ray. Run as many workers as you like, on any hosts that share the directory. With --no-wait it
    leaves while other workers still train, and its exit status does not count their models; a worker of an adaptive
    sweep (--refine) always waits for the next round. On SIGUSR1 or SIGTERM it
    writes a checkpoint and stops (exit status 138 or 143).
    """
    from analysis.adaptive.rounds import plan_next
    from analysis.frames.results_table import ResultsTable
    from sweeps.running.driver import exit_status, say
    from sweeps.running.worker import held_elsewhere, work_through

    ledger = ledger_at("directory", directory)
    if not ledger.requests():
        raise SpecError(f"directory: {directory!r} holds no recorded request; make one with --plan-only")
    out = console()
    tables = ResultsTable(ledger.root, lambda line: say(out, line))
    adaptive = _recorded_adaptive_sweeps(ledger)
    while True:
        signal, troubles = work_through(ledger, wait or bool(adaptive), lambda line: say(out, line), tables.follow)
        if signal or troubles or not plan_next(adaptive, lambda line: say(out, line)):
            break
    tables.write()
    if troubles:
        fail("; ".join(troubles), ERROR)
    theirs = set() if wait else held_elsewhere(ledger)
    cells = [record.cell for record in ledger.records() if record.cell.id not in theirs]
    return SIGNAL + signal if signal else exit_status(ledger, cells)


# adaptive sweeps --------------------------------------------------------------------------------------------------


def _refine(given: dict[str, Any]) -> int:
    """Run an adaptive sweep round by round, or only plan or describe its current round."""
    from analysis.frames.results_table import ResultsTable

    dry_run, plan_only, workers, probe, as_json = (given.pop(name) for name in ASIDE)
    if workers is not None and not plan_only:
        raise SpecError(f"workers: {workers} is for --plan-only; Ray counts its own")
    adaptive, code = _adaptive_sweep(given), 0
    driver = adaptive.driver
    if dry_run or plan_only:
        progress = adaptive.progress() if dry_run else adaptive.record(workers)
        for line in progress.lines:
            driver.say(line)
    else:
        tables = ResultsTable(driver.ledger.root, driver.say)
        code = adaptive.run(probe, tables.follow)
        progress = adaptive.progress()
        tables.write()
    waiting = sum(len(spec.cells()) for spec in progress.pending)
    counts = {"round": progress.number, "cells": len(progress.cells), "pending": waiting}
    print_facts({"results": str(driver.ledger.root), **counts}, as_json)
    return code


def _adaptive_sweep(given: dict[str, Any]) -> AdaptiveSweep:
    from analysis.adaptive.refine import Refinement
    from analysis.adaptive.rounds import AdaptiveSweep

    driver = driver_of("rho", given, values.items("model", given["model"]), rho_objectives(given))
    return AdaptiveSweep(driver, Refinement(driver.spec, given["refine"], given["budget"]))


def _recorded_adaptive_sweeps(ledger: Ledger) -> list[AdaptiveSweep]:
    recorded = [request["settings"] for request in ledger.requests() if request["settings"].get("refine") is not None]
    distinct = {json.dumps(settings, sort_keys=True): settings for settings in recorded}
    return [_adaptive_sweep({**_typed(settings), "out": str(ledger.root)}) for settings in distinct.values()]


def _typed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return recorded settings as a command line has them: lists of text, and every setting that is absent."""
    typed: dict[str, Any] = {}
    for option in rho.params:
        value = settings.get(str(option.name))
        if option.multiple and value is not None:
            value = [str(item) for item in (value if isinstance(value, list) else [value])]
        typed[str(option.name)] = value
    return {name: value for name, value in typed.items() if name not in ASIDE}


def _is_default(ctx: click.Context, name: str) -> bool:
    source, (_, preset) = ctx.get_parameter_source(name), ctx.meta.get("preset", (None, {}))
    return source is ParameterSource.DEFAULT or (source is ParameterSource.DEFAULT_MAP and name in preset)


# what the commands share ------------------------------------------------------------------------------------------


def _request(given: dict[str, Any], models: Sequence[str], objectives: Sequence[Any]) -> int:
    """Run a request, or only say what it would do."""
    from analysis.frames.results_table import ResultsTable

    ctx = click.get_current_context()
    dry_run, plan_only, workers, probe, as_json = (given.pop(name) for name in ASIDE)
    driver = driver_of(str(ctx.command.name), given, models, objectives)
    preset, names = ctx.meta.get("preset", (None, {}))
    if names:
        driver.say(f"{preset}: {spelled(given, names)}")
    if workers is not None and not plan_only:
        raise SpecError(f"workers: {workers} is for --plan-only; Ray counts its own")
    if plan_only:
        print_plan(driver, planned_resources(driver.settings, workers), dry_run, probe, as_json)
        return 0
    if dry_run:
        print_plan(driver, local_resources(driver.settings), dry_run, probe, as_json)
        return 0
    root = driver.ledger.root
    tables = ResultsTable(root, driver.say)
    code, plan = driver.run(probe, tables.follow)
    tables.write()
    records = [driver.ledger.record(cell.id) for cell in plan.cells]
    states = Counter(record.state if record is not None else "pending" for record in records)
    counts = {state: states[state] for state in ("complete", "failed", "diverged", "pending")}
    worse = sum(record is not None and record.result is not None and is_untrained(record.result) for record in records)
    if worse:
        counts["worse than independent pixels"] = worse
    print_facts({"results": str(root), "cells": len(plan.cells), **counts}, as_json)
    return code
