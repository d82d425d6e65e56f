"""`hvae-sweep evaluate`: complete cells evaluated further, from their weights.

Beside `command`, as it chooses cells by the frames of a results directory. What evaluates is imported as it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.command import ONLY, ONLY_RHO
from hvae_core.checks import SpecError
from sweeps.ledger.locate import ledger_at
from sweeps.options.click_commands import Command, console, setting

WHAT = ("bound", "information", "share")


@click.command(
    cls=Command,
    examples=[
        "hvae-sweep evaluate results/ --samples 5000 --examples 500",
        "hvae-sweep evaluate results/ --what information --dry-run",
    ],
)
@click.argument("directory", type=click.Path())
@click.option(
    "--what",
    type=click.Choice(WHAT),
    default=WHAT[0],
    help="bound: L_k. information: what each layer knows about the image. share: for results that lack it.",
)
@click.option("--samples", type=click.IntRange(1, 10**6), help="Importance samples k of the bound.  [default: 5000]")
@click.option(
    "--paths", type=click.IntRange(3, 10**5), help="Sampled paths of each image, for information.  [default: 32]"
)
@click.option(
    "--examples",
    type=click.IntRange(2),
    help="Test images; fewer than all are a fixed random choice.  [default: 10000 for the bound, 1000 for information]",
)
@ONLY
@ONLY_RHO
@setting("--data-dir", type=click.Path(), help="Directory of the data files.")
@click.option("--dry-run", "-n", is_flag=True, help="Print how long it would take; evaluate nothing.")
def evaluate(
    directory: str,
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    rho: tuple[str, ...],
    data_dir: str | None,
    dry_run: bool,
    **asked: Any,
) -> int:
    """Evaluate the complete cells of DIRECTORY further, from their weights.

    What is found is written to eval-<name>.json beside each result, which stays as it is, and into results.csv.
    """
    import torch

    from analysis.frames.results_table import ResultsTable
    from analysis.requests.plot_request import PlotRequest
    from sweeps.durations import duration
    from sweeps.running.driver import say
    from sweeps.trained.evaluations import evaluation
    from sweeps.trained.later import Later

    ledger = ledger_at("directory", directory)
    if not ledger.requests():
        raise SpecError(f"directory: {directory!r} holds no recorded request")
    out = console()
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    only = None
    if datasets or models or rho:
        only = set(PlotRequest.of([str(ledger.root)], None, datasets, models, rho).gather()[1]["cell_id"])
    later = Later(ledger, evaluation(**asked), Path(data_dir) if data_dir else None, device, only)
    if not later.complete:
        say(out, "nothing to do: no such cell is complete")
    elif not later.cells:
        say(out, f"nothing to do: all such complete cells have {later.evaluation.title} on that many images")
    else:
        cost = duration(later.seconds_needed())
        say(out, f"{later.evaluation.title} of {later.cells} cells: about {cost}, from timings of small parts")
    if not dry_run:
        later.run(click.echo)
        ResultsTable(ledger.root, lambda line: say(out, line)).write()
    return 0
