"""What a shell offers behind TAB: values that click cannot know."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from hvae_core.data import NULL, list_datasets
from sweeps.grid.methods import BASES, EXTRAS, OTHERS, OU, SKIP


def datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer names of data sets, with and without their source, behind null: too; or else files."""
    references = [info.reference for info in list_datasets()]
    names = sorted({*references, *(reference.partition(":")[0] for reference in references)})
    prefix = NULL if incomplete.startswith(NULL) else ""
    found = [CompletionItem(prefix + name) for name in names if (prefix + name).startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def methods(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer training methods; behind a +, the parts that can be added."""
    before, plus, last = incomplete.rpartition("+")
    names = (*BASES, *OTHERS, *EXTRAS, *((SKIP, OU) if plus else ()))
    return [CompletionItem(before + plus + name) for name in names if name.startswith(last)]


def cells(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the ids of the cells in --out, or else files."""
    folder = Path(ctx.params.get("out") or "results") / "cells"
    try:
        found = sorted(path.name for path in folder.iterdir() if path.name.startswith(incomplete))
    except OSError:
        found = []
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]
