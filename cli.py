"""Command line: `hvae-sweep` trains grids of hierarchical VAEs, `hvae-plot` draws what came out.

Parses, calls, prints. Data goes to stdout, progress and diagnostics to stderr. Exit status: 0 all complete, 1 error,
2 usage, 3 some cells failed or diverged, 4 nothing to plot, 5 another run holds the directory, 130/143 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from hvae_core.data import BINARISE, DataError, fetch_dataset, list_datasets
from hvae_core.spec import PRECISIONS, SMOOTHINGS, SpecError
from sweeps import options
from sweeps.claims import HeldError
from sweeps.exits import ERROR, HELD, NOTHING, SIGNAL, USAGE
from sweeps.ledger import LedgerError
from sweeps.request import local_slots, resolved, run_settings, sweep_spec

QUICK: dict[str, Any] = {
    "model": ["mlp4x16h64"],
    "datasets": ["mnist", "glyphs"],
    "rho": ["0", "0.5", "0.8", "0.85", "0.9", "0.93", "0.95", "0.97", "0.98", "0.99", "1"],
    "seeds": ["1"],
    "steps": 3000,
    "batch_size": 64,
    "lr": 2e-3,
    "eval_every": 500,
}
FORMATS = ("png", "pdf", "svg")
CRITICAL = (  # columns of the printed table; the csv has all
    *("dataset", "source", "binarise", "model", "ou_samples", "steps", "n_rho", "n_seeds", "plateau", "rho_critical"),
    *("bracket_low", "bracket_high", "interval_low", "interval_high", "rho_half", "steepness", "verdict"),
)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose list options take several values: `--datasets mnist omniglot`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spread lists before click reads them."""
        lists = {
            name: frozenset(param.type.choices) if isinstance(param.type, click.Choice) else None
            for param in self.params
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        return super().parse_args(ctx, options.spread(args, lists))


class Group(click.Group):
    """A group whose errors are one line on stderr, with the exit status of their kind; never a traceback."""

    command_class = Command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and turn what a user can cause into one line."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(USAGE)
        except click.ClickException as error:
            fail(error.format_message(), error.exit_code)
        except (SpecError, DataError) as error:
            fail(str(error), USAGE)
        except HeldError as error:
            fail(str(error), HELD)
        except (LedgerError, OSError) as error:
            fail(str(error), ERROR)
        except click.Abort:
            fail("interrupted", SIGNAL + 2)
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> None:
    """Print one line and leave."""
    click.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(code)


def console(quiet: bool = False) -> Console:
    """Diagnostics go to stderr; rich keeps to plain lines where that is no terminal, and knows NO_COLOR."""
    return Console(stderr=True, quiet=quiet)


def setting(*names: str, **keywords: Any) -> Callable[[F], F]:
    """Declare an option that the environment (HVAE_*) and a configuration file can also set."""
    key = names[0].lstrip("-").replace("-", "_")
    return click.option(*names, envvar=f"HVAE_{key.upper()}", **keywords)


def _use_quick(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        ctx.default_map = {**QUICK, **(ctx.default_map or {})}
    return value


def _use_config(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        path = Path(value)
        known = [p for p in ctx.command.params if isinstance(p, click.Option) and p.name not in NOT_IN_CONFIG]
        settings = options.load_config(path, {p.name: _config_kind(p) for p in known if p.name})
        quick = QUICK if settings.pop("quick", False) else {}
        if (path.parent / "sweep.json").is_file():
            settings.setdefault("out", str(path.parent))  # a results directory's own request is about itself
        ctx.default_map = {**quick, **(ctx.default_map or {}), **settings}
    return value


def _config_kind(option: click.Option) -> options.Kind:
    if option.is_flag:
        return options.Kind((bool,))
    if option.multiple:
        return options.Kind((str, int, float), many=True)
    return options.Kind({"integer": (int,), "float": (int, float)}.get(option.type.name, (str,)))


NOT_IN_CONFIG = {"config", "dry_run", "as_json", "plan_only", "help"}


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(metadata.version("hvae-sweep"), prog_name="hvae-sweep")
def sweep() -> None:
    """Train grids of hierarchical VAEs and measure the unsmoothed models."""


@sweep.command()
@setting("--model", multiple=True, default=["mlp4x40"], metavar="MODEL...", help="mlp4x40, mlp3x200, mlp64-32-16-8 ...")
@setting(
    "--datasets",
    multiple=True,
    default=["mnist"],
    metavar="DATA...",
    help="Names, name:source, or paths of .npz files.",
)
@setting("--rho", multiple=True, default=["0:1:0.05"], metavar="RHO...", help="Values in [0, 1] or start:stop:step.")
@setting("--seeds", multiple=True, default=["1"], metavar="N|SEEDS", help="A count, or the seeds: 0,1,7 or 4:9.")
@setting("--steps", type=int, default=100_000, help="Optimiser steps of every model.")
@setting("--batch-size", type=int, default=100, help="Images in a minibatch.")
@setting("--lr", type=float, default=1e-3, help="Adam's learning rate.")
@setting("--ou-samples", type=int, default=5, help="K: correlated samples of each smoothed function.")
@setting("--smoothing", type=click.Choice(SMOOTHINGS), default="mean_std", help="What U_rho acts on.")
@setting("--precision", type=click.Choice(PRECISIONS), default="float32", help="Arithmetic of training and evaluation.")
@setting("--binarise", type=click.Choice(BINARISE), default="static", help="How grey images become binary.")
@setting("--data-dir", type=click.Path(), help="Where data files lie.")
@setting("--eval-every", type=int, default=0, help="Steps between evaluations on validation images; 0: at the end.")
@setting("--ll-examples", type=int, default=500, help="Test images for the bound L_100; 0: leave it out.")
@setting("--out", type=click.Path(), default="results", help="Results directory; what is complete there stays.")
@setting("--keep", type=click.Choice(("weights", "none")), default="weights", help="What to keep of a trained model.")
@setting("--pack", default="auto", metavar="auto|N", help="Models that train together as one stacked model.")
@setting("--gpus-per-trial", type=float, help="GPUs of each trial.  [default: 1 where there are GPUs]")
@setting("--cpus-per-trial", type=int, default=1, help="CPU cores of each trial.")
@setting("--address", default="local", help="local: a Ray of our own; auto or HOST:PORT: one that runs.")
@setting("--max-failures", type=int, default=2, help="How often a trial whose worker died is started again.")
@setting("--fail-fast", is_flag=True, help="Stop at the first trial that dies.")
@setting("--retry-failed", is_flag=True, help="Run failed and diverged cells again.")
@click.option(
    "--config", type=click.Path(), is_eager=True, callback=_use_config, help="A sweep.toml of these settings."
)
@click.option("--quick", is_flag=True, is_eager=True, callback=_use_quick, help="A small sweep for two CPU cores.")
@click.option("--dry-run", "-n", is_flag=True, help="Say what is missing and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plan-only", is_flag=True, help="Record the request for `hvae-sweep work` and run nothing.")
def rho(as_json: bool, dry_run: bool, plan_only: bool, quick: bool, config: str | None, **given: Any) -> int:
    """Sweep the smoothing rho, as in the paper's Figure 1.

    The same command again trains exactly what is missing.
    """
    from sweeps.driver import ledger_at, record_request, run_sweep
    from sweeps.plan import plan_sweep
    from sweeps.worker import Job

    ledger = ledger_at("out", given["out"])
    settings = run_settings(given)
    spec = sweep_spec(given)
    if given["data_dir"] is not None:
        given["data_dir"] = str(Path(given["data_dir"]).expanduser().absolute())
    written = resolved({name: value for name, value in given.items() if name != "out"}, spec)
    slots = local_slots(settings)
    if dry_run:
        plan = plan_sweep(ledger, spec, settings.retry_failed)
        _print_facts(_plan_facts(plan, plan.packs(ledger, settings.pack_size, slots)), as_json)
        return 0
    if plan_only:
        plan, packs = record_request(ledger, spec, settings, slots, written)
        _print_facts(_plan_facts(plan, packs), as_json)
        return 0
    out = console()
    job = Job.of(ledger.root, {"settings": written, "request": spec.to_dict()})
    code, plan = run_sweep(ledger, spec, job, settings, written, out)
    _write_tables(ledger.root, out)
    states = [ledger.state(cell.id) for cell in plan.cells]
    counts = {state: states.count(state) for state in ("complete", "failed", "diverged", "pending")}
    _print_facts({"results": str(ledger.root), "cells": len(states), **counts}, as_json)
    return code


@sweep.command()
@click.argument("directory", type=click.Path())
@click.option("--wait/--no-wait", default=True, help="Wait for packs that other workers hold.")
def work(directory: str, wait: bool) -> int:
    """Be one worker: take packs from the requests recorded in DIRECTORY until none is left.

    No Ray. Any number may run at once, on any hosts that share the directory.
    """
    from sweeps.driver import ledger_at, say, status
    from sweeps.work import work_through

    ledger = ledger_at("directory", directory)
    if not ledger.requests():
        raise SpecError(f"directory: {directory!r} holds no recorded request; make one with --plan-only")
    out = console()
    signal, troubles = work_through(ledger, wait, lambda line: say(out, line))
    _write_tables(ledger.root, out)
    if troubles:
        fail("; ".join(troubles), ERROR)
    return SIGNAL + signal if signal else status(ledger, [record.cell for record in ledger.records()])


@sweep.group()
def data() -> None:
    """List and fetch data sets."""


@data.command("list")
@setting("--data-dir", type=click.Path(), help="Where data files lie.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def data_list(data_dir: str | None, as_json: bool) -> None:
    """List the known data sets: images to train, validate and test, and where each was found."""
    infos = list_datasets(Path(data_dir) if data_dir else None)
    if as_json:
        click.echo(json.dumps({info.reference: {"found": info.found, "images": info.counts} for info in infos}))
        return
    for info in infos:
        counts = " / ".join(f"{n:,}" for n in info.counts)
        levels = "grey" if info.grey else "binary"
        where = info.found or f"not here: {info.how}"
        click.echo(f"{info.reference:<18}{counts:<26}{levels:<8}{where}")


@data.command("fetch")
@click.argument("names", nargs=-1, required=True)
@setting("--data-dir", type=click.Path(), help="Where to put the files; without it, the user's cache.")
def data_fetch(names: tuple[str, ...], data_dir: str | None) -> None:
    """Download what is missing of the data sets, for machines without network."""
    if data_dir:
        Path(data_dir).mkdir(parents=True, exist_ok=True)
    for name in names:
        for path in fetch_dataset(name, Path(data_dir) if data_dir else None):
            click.echo(f"{name}: {path}")


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(metadata.version("hvae-sweep"), prog_name="hvae-plot")
def plot() -> None:
    """Draw figures from results directories, with the csv behind each."""


@plot.command("phase-transition")
@click.argument("directories", nargs=-1, required=True, type=click.Path(), metavar="RESULTS...")
@click.option("--out", type=click.Path(), help="Where to write.  [default: figures/ in the first directory]")
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("png", "pdf"))
@click.option("--datasets", multiple=True, help="Only these: mnist, omniglot:lake ...")
@click.option("--models", multiple=True, help="Only these: mlp4x40 ...")
@click.option("--title/--no-title", default=True, help="A title above the figure.")
def phase_transition(
    directories: tuple[str, ...],
    out: str | None,
    formats: tuple[str, ...],
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    title: bool,
) -> int:
    """Draw top KL, active top units and unsmoothed ELBO over rho, as in the paper's Figure 1.

    Writes the figure, its csv and a csv of the critical values, which are also printed.
    """
    from analysis.gather import GatherError
    from analysis.phase_transition import phase_transition as draw

    for path in map(Path, directories):
        if not path.is_dir():
            reason = "is a file, not a results directory" if path.exists() else "no such directory"
            raise SpecError(f"results: {str(path)!r}: {reason}")
    target = Path(out) if out else None
    if target is not None and target.exists() and not target.is_dir():
        raise SpecError(f"out: {out!r} is a file; it must be a directory")
    wanted = [
        tuple(options.items(name, given)) if given else ()
        for name, given in (("datasets", datasets), ("models", models))
    ]
    try:
        report = draw([Path(path) for path in directories], target, tuple(formats), title, *wanted)
    except GatherError as error:
        fail(str(error), NOTHING)
    for note in report.notes:
        click.echo(note, err=True)
    click.echo(report.critical[list(CRITICAL)].to_string(index=False, float_format="%.4g", na_rep="-"))
    for file in report.files:
        click.echo(file)
    return 0


# what the commands share ------------------------------------------------------------------------------------------


def _plan_facts(plan: Any, packs: Sequence[Any]) -> dict[str, Any]:
    counts = plan.counts()
    data = [source.reference for source in plan.spec.data]
    return {"data": data, "cells": counts.pop("total"), **counts, "packs": len(packs)}


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo("\n".join(f"{name}: {', '.join(v) if isinstance(v, list) else v}" for name, v in facts.items()))


def _write_tables(root: Path, out: Console) -> None:
    from analysis.gather import gather, write_tables

    gathered = gather([root])
    for note in gathered.notes:
        out.print(note, markup=False, highlight=False, soft_wrap=True)
    try:
        write_tables(root, gathered.frame)
    except OSError as error:  # they only repeat what the records say
        out.print(f"results.csv and results.parquet were not written: {error}", markup=False, soft_wrap=True)
