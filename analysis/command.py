"""The command line of `hvae-plot`: parses, calls, prints.

What draws is imported by the command that draws, so that --help needs neither pandas nor matplotlib. What was written
goes to stdout, what was left out to stderr.
"""

from __future__ import annotations

import os
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

import click
from rich_click import RichCommandPanel

from analysis.requests.plot_request import PlotRequest, read_items
from hvae_core.checks import is_finite, require
from sweeps.options.click_commands import CONTEXT, Group, together

if TYPE_CHECKING:
    from analysis.requests.report import Report

WATCH_SECONDS = 30.0
FORMATS = ("png", "pdf", "svg")

RESULTS = click.argument("directories", nargs=-1, required=True, type=click.Path(), metavar="RESULTS...")
OUT = click.option(
    "--out", type=click.Path(), help="Directory to write to.  [default: figures/ in the first results directory]"
)
ONLY = together(
    click.option("--datasets", multiple=True, help="Use only these data sets: mnist, omniglot:lake ..."),
    click.option("--models", multiple=True, help="Use only these models: mlp4x40 ..."),
)
CELLS = click.option(
    "--cells", multiple=True, metavar="ID...", help="Cells, by the beginnings of their ids.  [default: four over rho]"
)
ONLY_RHO = click.option("--rho", multiple=True, metavar="RHO...", help="Use only these values or ranges of rho.")
FIGURE = together(
    RESULTS,
    OUT,
    click.option(
        "--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("png", "pdf"), help="File formats."
    ),
    ONLY,
    click.option(
        "--width",
        type=click.Choice(("column", "page")),
        help="3.35 inches, a column of a paper, or 7.  [default: what the figure needs]",
    ),
    click.option(
        "--title/--no-title", default=None, help="Put a title above the figure.  [default: where it is a page wide]"
    ),
    click.option(
        "--mplstyle",
        type=click.Path(),
        metavar="FILE",
        help="A matplotlib style file, for fonts and lines as in your paper; sizes stay as they are.",
    ),
)


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    panels=[
        RichCommandPanel(
            "The fall of the top layer",
            commands=["phase-transition", "critical", "information", "drift", "scaling"],
        ),
        RichCommandPanel("The paper's other figures and tables", commands=["collapse", "training", "table"]),
        RichCommandPanel("The models, and the tool itself", commands=["samples", "spectrum", "calibration"]),
        RichCommandPanel("All of it", commands=["report"]),
    ],
)
@click.version_option(metadata.version("hvae-sweep"), prog_name="hvae-plot")
def plot() -> None:
    """Draw figures and tables from results directories, and write the csv behind each."""
    os.environ["MPLBACKEND"] = "agg"  # before anything imports matplotlib, which refuses a notebook's backend elsewhere


@plot.command(
    "phase-transition",
    examples=["hvae-plot phase-transition results/", "hvae-plot phase-transition results/ --axis c --format pdf"],
)
@FIGURE
@click.option(
    "--axis",
    type=click.Choice(("rho", "linear", "c")),
    default="rho",
    help="rho, stretched towards 1 where the grid is; rho on a linear axis; or c = rho^2 (1 - 1/K) + 1/K.",
)
@click.option(
    "--panels",
    multiple=True,
    metavar="PANEL...",
    help="Of kl, active, share, information, elbo.  [default: all that there are; information in place of the share]",
)
def phase_transition(axis: Any, panels: tuple[str, ...], **given: Any) -> None:
    """Draw top KL, active top units, share or information, and unsmoothed ELBO over rho.

    --panels kl --axis linear draws the paper's Figure 1. Null data are grey. Writes the figure, its csv and a csv of
    the critical values, which are also printed.
    """
    from analysis.reports.phase_transition import report

    _print(report(_asked(given), axis=axis, panels=read_items("panels", panels)))


@plot.command(
    "critical", examples=["hvae-plot critical results/", "hvae-plot critical results/ --compare datasets --margin 0.01"]
)
@together(RESULTS, OUT, ONLY)
@click.option("--diagnostics", is_flag=True, help="Add other estimators and the fit with a free exponent.")
@click.option(
    "--compare", type=click.Choice(("datasets",)), help="Add a paired test for a difference between data sets."
)
@click.option(
    "--margin", type=float, default=0.02, help="With --compare: the largest difference in rho that counts as equal."
)
def critical(diagnostics: bool, compare: str | None, margin: float, **given: Any) -> None:
    """Estimate the critical rho of each curve, with a 90 % interval, or say why there is none.

    The critical rho is the onset of the fall, seen from rho = 1: below it the top KL rises above the level that it has
    near 1. The interval accounts for seeds, grid and rounding, and
    needs three seeds.
    """
    from analysis.reports.critical import report

    require(is_finite(margin) and 0 < margin < 1, "margin", margin, "between 0 and 1")
    _print(report(PlotRequest.of(**given), diagnostics=diagnostics, margin=margin if compare else None))


@plot.command(
    "calibration",
    examples=["hvae-plot calibration results/calibration", "hvae-plot calibration results/calibration --format svg"],
)
@FIGURE
def calibration(**given: Any) -> None:
    """Compare the linear models of `hvae-sweep calibrate` with their closed form: critical rho and top KL."""
    from analysis.reports.calibration import report

    _print(report(_asked(given)))


@plot.command(
    "information",
    examples=["hvae-plot information results/", "hvae-plot information results/ --datasets mnist null:mnist"],
)
@FIGURE
def information(**given: Any) -> None:
    """Draw how much of each layer's KL is about the image, and how much is noise.

    This needs `hvae-sweep evaluate RESULTS --what information`, which estimates I(x; z_i) from both sides.
    """
    from analysis.reports.information import report

    _print(report(_asked(given)))


@plot.command("drift", examples=["hvae-plot drift results/", "hvae-plot drift results/ --datasets mnist"])
@FIGURE
def drift(**given: Any) -> None:
    """Draw how the fall of the top KL moves during training, and say where the KL still changes.

    Its place is the rho where the top KL is 0.05 nats per unit. This needs a sweep with --eval-every.
    """
    from analysis.reports.drift import report

    _print(report(_asked(given)))


@plot.command("scaling", examples=["hvae-plot scaling results/", "hvae-plot scaling results/ other/ --out figures/"])
@FIGURE
def scaling(**given: Any) -> None:
    """Draw KL per unit, fraction of active units, rounding and onset against top-layer width and training steps."""
    from analysis.reports.scaling import report

    _print(report(_asked(given)))


@plot.command("collapse", examples=["hvae-plot collapse results/", "hvae-plot collapse results/ --active path --rho 1"])
@together(FIGURE, ONLY_RHO)
@click.option(
    "--active", type=click.Choice(("mean", "path")), default="mean", help="How active units are counted: see above."
)
@click.option("--quantity", type=click.Choice(("active", "share")), default="active", help="What to draw: see above.")
def collapse(active: Any, quantity: str, **given: Any) -> None:
    """Draw active units and ELBO over depth and width, as in the paper's Figure 3.

    --active mean averages out the sampling noise of lower layers; --active path uses one sampled path, as the code of
    Burda et al. does. --quantity share draws the share of the posterior mean's variation that the image explains.
    """
    from analysis.reports.collapse import report

    _print(report(_asked(given), quantity="share" if quantity == "share" else active))


@plot.command("training", examples=["hvae-plot training results/", "hvae-plot training results/ --rho 0.8 1"])
@together(FIGURE, ONLY_RHO)
def training(**given: Any) -> None:
    """Draw validation ELBO and top KL over training steps, as in the paper's Figure 2."""
    from analysis.reports.training import report

    _print(report(_asked(given)))


@plot.command("table", examples=["hvae-plot table results/", "hvae-plot table results/ --style latex --context"])
@together(RESULTS, OUT)
@click.option(
    "--style", type=click.Choice(("markdown", "latex", "csv")), default="markdown", help="Format of the table."
)
@click.option(
    "--context", is_flag=True, help="Add published numbers of other papers, set apart, with their conditions."
)
@ONLY
def table(style: str, context: bool, **given: Any) -> None:
    """Tabulate KL and active units per layer, ELBO and L_k of each method, as in the paper's Tables 1 to 5."""
    from analysis.reports.table import report

    _print(report(PlotRequest.of(**given), style=style, context=context), document=True)


@plot.command(
    "spectrum", examples=["hvae-plot spectrum results/", "hvae-plot spectrum results/ --cells 1f3a 77b0 --format pdf"]
)
@FIGURE
@CELLS
def spectrum(cells: tuple[str, ...], **given: Any) -> None:
    """Draw how nonlinear the generator is around the posterior: energy by Hermite degree of its mu and sigma.

    Smoothing acts on these degrees: it keeps rho^2n (1 - 1/K) + 1/K of degree n. The models are evaluated anew, so
    this needs their weights and data.
    """
    from analysis.reports.spectrum import report

    _print(report(_asked(given), cells=read_items("cells", cells)))


@plot.command("samples", examples=["hvae-plot samples results/", "hvae-plot samples results/ --cells 1f3a 77b0"])
@FIGURE
@CELLS
def samples(cells: tuple[str, ...], **given: Any) -> None:
    """Draw samples and reconstructions of chosen cells."""
    from analysis.reports.samples import report

    _print(report(_asked(given), cells=read_items("cells", cells)))


@plot.command("report", examples=["hvae-plot report results/", "hvae-plot report results/ --watch"])
@together(RESULTS, OUT, ONLY)
@click.option(
    "--no-samples", is_flag=True, help="Leave out samples. Otherwise models whose weights and data are here draw some."
)
@click.option("--watch", is_flag=True, help="Write the page anew every 30 s until no cell is pending.")
def page(no_samples: bool, watch: bool, **given: Any) -> None:
    """Write one HTML page of a sweep: critical values, interactive figures, tables, samples, failures, settings.

    The file needs no network and opens from disk. It can be written at any time, also while a sweep runs.
    """
    from analysis.reports.report import report

    request = PlotRequest.of(**given)
    done = report(request, samples=not no_samples, reload=watch)
    _print(done)
    while watch and (done.table["state"] == "pending").any():
        time.sleep(WATCH_SECONDS)
        done = report(request, samples=not no_samples, reload=True)


def _asked(given: dict[str, Any]) -> PlotRequest:
    """Read what a figure is asked for, and say which settings of a style file it does not follow."""
    request = PlotRequest.of(**given)
    if left_out := request.paper.left_out:
        click.echo(f"mplstyle: sizes and file settings stay as they are; left out: {', '.join(left_out)}", err=True)
    return request


def _print(report: Report, document: bool = False) -> None:
    """Print a report; where its text is a document, the files it lies in are no part of it."""
    for note in report.notes:
        click.echo(note, err=True)
    if report.text:
        click.echo(report.text, nl=not report.text.endswith("\n"))
    for file in report.files:
        click.echo(file, err=document)
