"""From results directories to Tables 1 to 4: markdown, LaTeX or csv, as text and on disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.frames.configurations import Configuration, configurations
from analysis.frames.csv_text import csv_bytes
from analysis.requests.output import write_all
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from analysis.summaries.seed_means import TableRow, tidy
from analysis.tables.latex import latex
from analysis.tables.layout import Table, lay_out
from analysis.tables.markdown import markdown
from analysis.tables.quoted import Quoted, context_rows
from analysis.words.incomplete import counted, missing_states, require_complete, untrained
from analysis.words.methods import words_of

NAME = "table"
STYLES = {"markdown": "md", "latex": "tex", "csv": "csv"}
MAX_NAMED = 5
ORIGIN = "these results"
QUOTED_COLUMNS = ("quoted_model", "quoted", "quoted_value", "quoted_spread")


def report(request: PlotRequest, *, style: str = "markdown", context: bool = False) -> Report:
    """Gather results directories and write `table.md`, `table.tex` or `table.csv`; the report's text is its content.

    One row per configuration that has complete cells, one table per data set and binarisation. `context` adds what
    other papers are quoted for. Raises GatherError where there is nothing to tabulate, ValueError for an unknown style,
    OSError where nothing can be written.
    """
    if style not in STYLES:
        raise ValueError(f"style: {style!r} is not allowed; it must be {', '.join(STYLES)}")
    gathered, frame = request.gather()
    require_complete(frame)
    numbers, text = tabulate(frame, style, context)
    files = write_all(request.directory, {f"{NAME}.{STYLES[style]}": text.encode()})
    return Report(files, gathered.notes + untrained(frame) + _left_out(frame), numbers, text)


def tabulate(frame: pd.DataFrame, style: str = "markdown", context: bool = False) -> tuple[pd.DataFrame, str]:
    """Return the numbers of a tidy frame's configurations, and the tables as text in one of the STYLES."""
    rows, texts, quoted = list[TableRow](), list[str](), list[Quoted]()
    for group, inside in _by_data(frame):
        rows += inside
        others = context_rows(*(group[0][name] for name in ("dataset", "binarise", "source"))) if context else []
        quoted += [row for row in others if row not in quoted]
        laid_out = lay_out(inside, _missing(group), others)
        texts.append(latex(laid_out) if style == "latex" else markdown(laid_out))
    numbers = tidy(rows)
    if context:
        both = [*numbers.assign(origin=ORIGIN).to_dict("records"), *_quotations(quoted)]
        numbers = pd.DataFrame(both, columns=["origin", *numbers, *QUOTED_COLUMNS]).astype(numbers.dtypes.to_dict())
    return numbers, csv_bytes(numbers).decode() if style == "csv" else "\n".join(texts)


def tables_of(frame: pd.DataFrame) -> list[Table]:
    """Lay out the tables of a tidy frame, one for each data set and binarisation; none where no cell is complete."""
    return [lay_out(inside, _missing(group)) for group, inside in _by_data(frame)]


def _by_data(frame: pd.DataFrame) -> list[tuple[list[Configuration], list[TableRow]]]:
    """Return the configurations of each table, and the rows of those that have complete cells, if there are any."""
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    for each in configurations(frame):
        groups.setdefault(each.curve.data, []).append(each)
    rows = [[TableRow.of(each) for each in group if len(each.curve.complete)] for group in groups.values()]
    return [(group, inside) for group, inside in zip(groups.values(), rows, strict=True) if inside]


def _quotations(quoted: Sequence[Quoted]) -> list[dict[str, Any]]:
    """Other papers' numbers under columns of their own, so that no mean is ever taken over both."""
    rows = []
    for each in quoted:
        for name, value in each.values:
            number, _, spread = value.partition(" ± ")
            what = ", ".join(filter(None, [each.bound, name]))
            facts = {"quoted_model": each.model, "quoted": what, "quoted_value": float(number)}
            facts["quoted_spread"] = float(spread) if spread else math.nan
            rows.append({"dataset": each.dataset, "binarise": each.binarise, "origin": each.source, **facts})
    return rows


def _left_out(frame: pd.DataFrame) -> list[str]:
    """One line per data set and model with cells that are not complete, and what they are."""
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    for each in configurations(frame):
        groups.setdefault(each.group, []).append(each)
    notes = []
    for group in groups.values():
        if not (states := _missing(group)):
            continue
        named = [
            f"{', '.join(words)} ({counted(_missing([each]))})"
            for each, words in zip(group, words_of(group), strict=True)
            if _missing([each])
        ]
        more = f"; and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
        of = sum(len(each.rows) for each in group)
        notes.append(
            f"{group[0].title}: {len(states)} of {of} cells are not complete ({counted(states)}), left out: "
            f"{'; '.join(named[:MAX_NAMED])}{more}"
        )
    return notes


def _missing(group: Sequence[Configuration]) -> list[str]:
    """Return the state of each cell without results."""
    return [state for each in group for state in missing_states(each.rows)]
