"""A laid-out table as markdown (a pipe table) or LaTeX (booktabs), and names made safe for either."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from analysis.tables.layout import Number, Table
from analysis.tables.quoted import CAVEAT, Quoted

CONTEXT = ("Source", "Model", "What is quoted", "Value")
_ESCAPED = {
    **{character: rf"\{character}" for character in "_%&#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    **{"ρ": r"$\rho$", "β": r"$\beta$", "±": r"$\pm$", "–": "--"},
}
_HEADINGS = {"K": "$K$"}
_WRAPPED = r"p{0.27\linewidth}p{0.2\linewidth}p{0.27\linewidth}r"


def markdown(table: Table) -> str:
    """Return a table as markdown that also reads well as it is: a paragraph, a pipe table, a list of notes."""
    parts = [f"**{_marked(table.title)}.** {_marked(' '.join(table.sentences))}"]
    body = [[_marked_cell(cell) for cell in line.cells] for line in table.lines]
    for cells, line in zip(body, table.lines, strict=True):
        column = _named(table)
        cells[column] += "".join(f" [{letter(mark)}]" for mark in line.marks)
    parts.append(_pipes([name for name, _ in table.columns], body, [number for _, number in table.columns]))
    notes = [f"[{letter(i)}] {_marked(text)}." for i, text in enumerate(table.footnotes)]
    notes += map(_marked, table.remarks)
    parts += ["\n".join(f"- {note}" for note in notes)] if notes else []
    if table.context:
        rows = [[_marked(cell) for cell in _quoted(row)] for row in table.context]
        parts += ["---", _marked(CAVEAT), _pipes(CONTEXT, rows, (False, False, False, True))]
    return "\n\n".join(parts) + "\n"


def latex(table: Table) -> str:
    """Return a table as a LaTeX float, as wide as the page, that needs booktabs and nothing else."""
    caption = escaped(f"{table.title}. {' '.join(table.sentences)}")
    lines = [r"\begin{table*}", r"  \centering", r"  \footnotesize", rf"  \caption{{{caption}}}"]
    body = []
    for line in table.lines:
        cells = [_set(cell) for cell in line.cells]
        marks = ",".join(letter(mark) for mark in line.marks)
        cells[_named(table)] += rf"\textsuperscript{{{marks}}}" if marks else ""
        body += [*([r"\midrule"] if line.first else []), _row(cells)]
    headings = [_HEADINGS.get(name, escaped(name)) for name, _ in table.columns]
    lines += _tabular("".join("r" if number else "l" for _, number in table.columns), headings, body)
    notes = [rf"\textsuperscript{{{letter(i)}}} {escaped(text)}." for i, text in enumerate(table.footnotes)]
    lines += _paragraphs([*notes, *map(escaped, table.remarks)])
    if table.context:
        rows = [
            _row([*map(escaped, cells[:3]), f"${cells[3]}$".replace("±", r"\pm")])
            for cells in map(_quoted, table.context)
        ]
        lines += [
            *_paragraphs([escaped(CAVEAT)]),
            r"  \par\smallskip",
            *_tabular(_WRAPPED, [*map(escaped, CONTEXT)], rows),
        ]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def letter(index: int) -> str:
    """Name of a footnote: a, b, ..., z, aa, ab, ..."""
    first, last = divmod(index, 26)
    return (letter(first - 1) if first else "") + string.ascii_lowercase[last]


def escaped(text: str) -> str:
    """Make text safe for LaTeX: no command, no character that pdflatex lacks; L_k and beta_top become formulas."""
    safe = "".join(_ESCAPED.get(c, c if c.isascii() or "À" <= c <= "ÿ" else "?") for c in _printable(text))
    safe = safe.replace(r"$\beta$\_top", r"$\beta_{\mathrm{top}}$")
    return re.sub(r"\bL\\_(\d+|k)\b", r"$L_{\1}$", safe)


def _named(table: Table) -> int:
    """Column that names the row: footnotes hang on it."""
    return [name for name, _ in table.columns].index("Method")


def _quoted(row: Quoted) -> list[str]:
    return [row.source, row.model, row.conditions, row.value]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _marked(text: str) -> str:
    """Make text safe for a markdown table."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", _printable(text))


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


def _set(cell: str | Number) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    mean = rf"\mathbf{{{cell.text}}}" if cell.best else cell.text
    spread = rf" \pm {cell.spread}" if cell.spread else ""
    return f"${mean}{spread}" + (rf"\;({cell.error})$" if cell.error else "$")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tabular(alignment: str, headings: Sequence[str], body: Sequence[str]) -> list[str]:
    inner = [r"\toprule", _row(headings), r"\midrule", *body, r"\bottomrule"]
    return [rf"  \begin{{tabular}}{{{alignment}}}", *(f"    {line}" for line in inner), r"  \end{tabular}"]


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [rf"  \par\smallskip{{\footnotesize {text}\par}}" for text in texts]
