"""A laid-out table as markdown: a paragraph, a pipe table, a list of notes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.tables.cells import CONTEXT, letter, method_column, printable, quoted_cells
from analysis.tables.layout import Number, Table
from analysis.tables.quoted import CAVEAT


def markdown(table: Table) -> str:
    """Return a table as markdown that also reads well as it is: a paragraph, a pipe table, a list of notes."""
    parts = [f"**{_marked(table.title)}.** {_marked(table.sentence)}"]
    body = [[_marked_cell(cell) for cell in line.cells] for line in table.lines]
    for cells, line in zip(body, table.lines, strict=True):
        column = method_column(table)
        cells[column] += "".join(f" [{letter(mark)}]" for mark in line.marks)
    parts.append(_pipes([name for name, _ in table.columns], body, [number for _, number in table.columns]))
    notes = [f"[{letter(i)}] {_marked(text)}." for i, text in enumerate(table.footnotes)]
    notes += map(_marked, [*table.explained, *table.remarks])
    parts += ["\n".join(f"- {note}" for note in notes)] if notes else []
    if table.context:
        rows = [[_marked(cell) for cell in quoted_cells(row)] for row in table.context]
        parts += ["---", _marked(CAVEAT), _pipes(CONTEXT, rows, (False, False, False, True))]
    return "\n\n".join(parts) + "\n"


def _marked(text: str) -> str:
    """Make text safe for a markdown table."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", printable(text))


def _marked_cell(cell: str | Number) -> str:
    if isinstance(cell, str):
        return _marked(cell)
    mean = f"**{cell.text}**" if cell.best else cell.text
    return mean + (f" ± {cell.spread}" if cell.spread else "") + (f" ({cell.error})" if cell.error else "")


def _pipes(headings: Sequence[str], body: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    rows = [list(headings), *body]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, numbers, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" if number else "-" * width for width, number in zip(widths, numbers, strict=True)]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
