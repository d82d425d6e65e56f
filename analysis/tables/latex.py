"""A laid-out table as a LaTeX float that needs booktabs and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.tables.cells import CONTEXT, letter, method_column, printable, quoted_cells
from analysis.tables.layout import Number, Table
from analysis.tables.quoted import CAVEAT

_ESCAPED = {
    **{character: rf"\{character}" for character in "_%&#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    **{"ρ": r"$\rho$", "β": r"$\beta$", "±": r"$\pm$", "–": "--"},
}
_HEADINGS = {"K": "$K$"}
_WRAPPED = r"p{0.27\linewidth}p{0.2\linewidth}p{0.27\linewidth}r"


def latex(table: Table) -> str:
    """Return a table as a LaTeX float, as wide as the page, that needs booktabs and nothing else."""
    caption = escaped(f"{table.title}. {table.sentence}")
    lines = [r"\begin{table*}", r"  \centering", r"  \footnotesize", rf"  \caption{{{caption}}}"]
    body = []
    for line in table.lines:
        cells = [_set(cell) for cell in line.cells]
        marks = ",".join(letter(mark) for mark in line.marks)
        cells[method_column(table)] += rf"\textsuperscript{{{marks}}}" if marks else ""
        body += [*([r"\midrule"] if line.first else []), _row(cells)]
    headings = [_HEADINGS.get(name, escaped(name)) for name, _ in table.columns]
    lines += _tabular("".join("r" if number else "l" for _, number in table.columns), headings, body)
    notes = [rf"\textsuperscript{{{letter(i)}}} {escaped(text)}." for i, text in enumerate(table.footnotes)]
    lines += _paragraphs([*notes, escaped(" ".join(table.explained)), *map(escaped, table.remarks)])
    if table.context:
        rows = [
            _row([*map(escaped, cells[:3]), f"${cells[3]}$".replace("±", r"\pm")])
            for cells in map(quoted_cells, table.context)
        ]
        lines += [
            *_paragraphs([escaped(CAVEAT)]),
            r"  \par\smallskip",
            *_tabular(_WRAPPED, [*map(escaped, CONTEXT)], rows),
        ]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def escaped(text: str) -> str:
    """Make text safe for LaTeX: no command, no character that pdflatex lacks; L_k and beta_top become formulas."""
    safe = "".join(_ESCAPED.get(c, c if c.isascii() or "À" <= c <= "ÿ" else "?") for c in printable(text))
    safe = safe.replace(r"$\beta$\_top", r"$\beta_{\mathrm{top}}$")
    return re.sub(r"\bL\\_(\d+|k)\b", r"$L_{\1}$", safe)


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
