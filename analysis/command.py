"""The command line of `hvae-plot`: parses, calls, prints.

What draws is imported by the command that draws, so that --help needs neither pandas nor matplotlib. What was written
goes to stdout, what was left out to stderr.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hvae_core.checks import SpecError
from sweeps.options import values
from sweeps.options.click_commands import CONTEXT, Group, together

if TYPE_CHECKING:
    from analysis.reports.report import Report

FORMATS = ("png", "pdf", "svg")

RESULTS = click.argument("directories", nargs=-1, required=True, type=click.Path(), metavar="RESULTS...")
OUT = click.option("--out", type=click.Path(), help="Where to write.  [default: figures/ in the first directory]")
ONLY = together(
    click.option("--datasets", multiple=True, help="Only these: mnist, omniglot:lake ..."),
    click.option("--models", multiple=True, help="Only these: mlp4x40 ..."),
)
ONLY_RHO = click.option("--rho", multiple=True, metavar="RHO...", help="Only these values or ranges.")
FIGURE = together(
    RESULTS,
    OUT,
    click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("png", "pdf")),
    ONLY,
    click.option("--title/--no-title", default=True, help="A title above the figure."),
)


@dataclass(frozen=True)
class Asked:
    """What figures and tables alike are asked for. out: None where the first results directory is to hold it."""

    results: list[Path]
    out: Path | None
    datasets: list[str]
    models: list[str]
    formats: tuple[str, ...] = ()
    title: bool = True

    @classmethod
    def of(
        cls,
        directories: Sequence[str],
        out: str | None,
        datasets: Sequence[str],
        models: Sequence[str],
        **figure: Any,
    ) -> Asked:
        """Read what a command was given; raises SpecError for what is no directory."""
        results = [_path("results", text) for text in directories]
        for path in results:
            if not path.is_dir():
                reason = "is a file, not a results directory" if path.exists() else "no such directory"
                raise SpecError(f"results: {str(path)!r}: {reason}")
        where = None if out is None else _path("out", out)
        if where is not None and where.exists() and not where.is_dir():
            raise SpecError(f"out: {str(where)!r} is a file; it must be a directory")
        return cls(results, where, _items("datasets", datasets), _items("models", models), **figure)


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(metadata.version("hvae-sweep"), prog_name="hvae-plot")
def plot() -> None:
    """Draw figures from results directories, with the csv behind each."""


@plot.command("phase-transition")
@FIGURE
def phase_transition(**given: Any) -> None:
    """Draw top KL, active top units and unsmoothed ELBO over rho, as in the paper's Figure 1.

    Writes the figure, its csv and a csv of the critical values, which are also printed.
    """
    from analysis.reports.phase_transition import phase_transition as draw

    asked = Asked.of(**given)
    _say(draw(asked.results, asked.out, asked.formats, asked.title, asked.datasets, asked.models))


@plot.command("collapse")
@together(FIGURE, ONLY_RHO)
@click.option("--active", type=click.Choice(("mean", "path")), default="mean", help="Which count of active units.")
def collapse(rho: tuple[str, ...], active: Any, **given: Any) -> None:
    """Draw active units and ELBO over depth and width, as in the paper's Figure 3.

    mean averages the sampling noise of lower layers out; path counts from one sampled path, as Burda et al.'s code.
    """
    from analysis.reports.collapse import collapse as draw

    asked, rhos = Asked.of(**given), _floats("rho", rho)
    _say(draw(asked.results, asked.out, asked.formats, asked.title, asked.datasets, asked.models, active, rhos))


@plot.command("training")
@together(FIGURE, ONLY_RHO)
def training(rho: tuple[str, ...], **given: Any) -> None:
    """Draw validation ELBO and top KL over training steps, as in the paper's Figure 2."""
    from analysis.reports.training import training as draw

    asked, rhos = Asked.of(**given), _floats("rho", rho)
    _say(draw(asked.results, asked.out, asked.formats, asked.title, asked.datasets, asked.models, rhos))


@plot.command("table")
@together(RESULTS, OUT)
@click.option("--style", type=click.Choice(("markdown", "latex", "csv")), default="markdown", help="What to write.")
@click.option("--context", is_flag=True, help="Add what other papers are quoted for, set apart, with conditions.")
@ONLY
def table(style: str, context: bool, **given: Any) -> None:
    """Print and write KL, active units of each layer, ELBO and L_k of methods, as in the paper's Tables 1 to 4."""
    from analysis.reports.table import table as tabulate

    asked = Asked.of(**given)
    _say(tabulate(asked.results, asked.out, style, context, asked.datasets, asked.models), document=True)


@plot.command("samples")
@FIGURE
@click.option("--cells", multiple=True, metavar="ID...", help="Beginnings of cell ids.  [default: four over rho]")
def samples(cells: tuple[str, ...], **given: Any) -> None:
    """Draw samples and reconstructions of chosen cells: what a collapsed top layer means."""
    from analysis.reports.samples import samples as draw

    asked, chosen = Asked.of(**given), _items("cells", cells)
    _say(draw(asked.results, asked.out, asked.formats, asked.title, asked.datasets, asked.models, chosen))


def _say(report: Report, document: bool = False) -> None:
    """Print a report; where its text is a document, the files it lies in are no part of it."""
    for note in report.notes:
        click.echo(note, err=True)
    if report.text:
        click.echo(report.text, nl=not report.text.endswith("\n"))
    for file in report.files:
        click.echo(file, err=document)


def _path(name: str, text: str) -> Path:
    """Read a path, whose leading ~ is somebody's home directory."""
    if not text:
        raise SpecError(f"{name}: '' is not allowed; it must be a directory")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{name}: {text!r} is not allowed; it must begin with the ~ of a known user") from error


def _items(name: str, given: Sequence[str]) -> list[str]:
    return values.items(name, given) if given else []


def _floats(name: str, given: Sequence[str]) -> tuple[float, ...]:
    return values.floats(name, given) if given else ()
