"""`hvae-sweep clean`, and the group `data`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.filesize import decimal

from hvae_core.data import fetch_dataset, list_datasets
from hvae_core.data.sources import expanded
from sweeps.ledger.clean import KINDS
from sweeps.ledger.locate import results_at
from sweeps.options.click_commands import Command, Group, setting


@click.command(
    cls=Command, examples=["hvae-sweep clean results/", "hvae-sweep clean results/ --remove runs checkpoints"]
)
@click.argument("directory", type=click.Path())
@click.option(
    "--remove", type=click.Choice(tuple(KINDS)), multiple=True, help="What to remove. Without it nothing is removed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def clean(directory: str, remove: tuple[str, ...], as_json: bool) -> None:
    """Show how much disk space each part of DIRECTORY takes, and remove the parts named; results always stay."""
    from sweeps.ledger.clean import clean as remove_from
    from sweeps.ledger.clean import rooms

    ledger = results_at("directory", directory)
    found = remove_from(ledger, remove) if remove else rooms(ledger)
    if as_json:
        click.echo(json.dumps({room.kind: {"items": len(room.paths), "bytes": room.size} for room in found}))
        return
    for room in found:
        facts = f"{room.kind:<12}{len(room.paths):>7,}  {decimal(room.size):>10}"
        click.echo(f"{facts}  {'removed' if remove else KINDS[room.kind]}")


@click.group(cls=Group)
def data() -> None:
    """List and fetch data sets."""


@data.command("list", examples=["hvae-sweep data list", "hvae-sweep data list --data-dir ~/data --json"])
@setting("--data-dir", type=click.Path(), help="Directory of the data files.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def data_list(data_dir: str | None, as_json: bool) -> None:
    """List the known data sets, their training, validation and test images, and where their files are."""
    infos = list_datasets(Path(data_dir) if data_dir else None)
    if as_json:
        click.echo(json.dumps({info.reference: {"found": info.found, "images": info.counts} for info in infos}))
        return
    for info in infos:
        counts = " / ".join(f"{n:,}" for n in info.counts) if info.counts else "as many as there are"
        where = info.found or f"not here: {info.how}"
        click.echo(f"{info.reference:<18}{counts:<26}{info.kind:<8}{where}")


@data.command(
    "fetch", examples=["hvae-sweep data fetch omniglot", "hvae-sweep data fetch mnist:grey --data-dir ~/data"]
)
@click.argument("names", nargs=-1, required=True)
@setting("--data-dir", type=click.Path(), help="Where to put the files.  [default: the user's cache]")
def data_fetch(names: tuple[str, ...], data_dir: str | None) -> None:
    """Download data sets, for example on a login node for compute nodes without a network."""
    directory = expanded(Path(data_dir)) if data_dir else None
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        for path in fetch_dataset(name, directory):
            click.echo(f"{name}: {path}")
