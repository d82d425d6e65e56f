"""What both styles of a table share: footnote letters, the column that names a row, cells of quoted rows."""

from __future__ import annotations

import string

from analysis.tables.layout import Table
from analysis.tables.quoted import Quoted

CONTEXT = ("Source", "Model", "What is quoted", "Value")


def letter(index: int) -> str:
    """Name of a footnote: a, b, ..., z, aa, ab, ..."""
    first, last = divmod(index, 26)
    return (letter(first - 1) if first else "") + string.ascii_lowercase[last]


def method_column(table: Table) -> int:
    """Column that names the row: footnotes hang on it."""
    return [name for name, _ in table.columns].index("Method")


def quoted_cells(row: Quoted) -> list[str]:
    """Return the cells of a row of another paper."""
    return [row.source, row.model, row.conditions, row.value]


def printable(text: str) -> str:
    """Make text one line, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
