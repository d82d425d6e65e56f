"""`hvae-sweep status` and `show`."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeps.ledger.locate import ledger_at, results_at
from sweeps.options import completion
from sweeps.options.click_commands import Command, setting

WATCH_SECONDS = 3.0


@click.command(cls=Command, examples=["hvae-sweep status results/", "hvae-sweep status results/ --watch"])
@click.argument("directory", type=click.Path())
@click.option("--watch", is_flag=True, help="Update every few seconds until nothing is pending.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def status(directory: str, watch: bool, as_json: bool) -> None:
    """Show the progress of the sweep in DIRECTORY, on whatever machines it runs, with the curves so far."""
    from sweeps.cluster.submissions import Queue
    from sweeps.watching.status import read_status

    ledger = results_at("directory", directory)
    found, queue = read_status(ledger), Queue(ledger)
    out = Console(soft_wrap=True)
    if as_json:
        click.echo(json.dumps({**found.to_dict(), "jobs": [job.to_dict() for job in queue.look()]}))
        return

    def text(unicode: bool) -> str:
        return "\n".join(found.lines(unicode, [job.line() for job in queue.look()]))

    with Live(console=out, auto_refresh=False) if watch and out.is_terminal else nullcontext() as live:
        while True:
            if live is not None:
                live.update(Text(text(unicode=True)), refresh=True)
            else:
                click.echo(text(out.encoding.startswith("utf")))
            if not (watch and (found.pending or not found.curves)):  # no curve: the sweep has not begun
                break
            time.sleep(WATCH_SECONDS)
            found = read_status(ledger)
            if live is None:
                click.echo()


@click.command(cls=Command, examples=["hvae-sweep show results/cells/<id>", "hvae-sweep show 1f3a --out results/"])
@click.argument("cell", shell_complete=completion.cells)
@setting("--out", type=click.Path(), default="results", help="Results directory, where CELL is an id.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def show(cell: str, out: str, as_json: bool) -> None:
    """Print the settings and results of CELL, a folder such as results/cells/<id> or the beginning of an id."""
    from sweeps.watching.show import cell_facts, find_cell, lines

    facts = cell_facts(find_cell(cell, ledger_at("out", out).root))
    click.echo(json.dumps(facts) if as_json else "\n".join(lines(facts)))
