"""What a table says, before it is markdown or LaTeX: caption, columns, rows with their footnotes, remarks.

One table holds one data set in one binarisation: static and dynamic MNIST differ by nats. Within it rows are grouped by
model, and the highest mean of each bound is marked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.configurations import Configuration, names_in_words, shared_in_words
from analysis.context_rows import Quoted
from analysis.incomplete import counted
from analysis.table_rows import BOUNDS, Mean, TableRow

IN_COLUMNS = ("ou_samples", "steps")
NONE = "–"


@dataclass(frozen=True)
class Number:
    """A number in nats per image: its spread is the standard deviation over seeds, or else, `in_brackets`, its error.

    best: the highest of its column.
    """

    text: str
    spread: str = ""
    in_brackets: bool = False
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One row: its cells, and the footnotes (by index) that its first cell has. first: a new model begins here."""

    cells: list[str | Number]
    marks: list[int]
    first: bool


@dataclass
class Table:
    """One table: a title, sentences below it, columns (name, whether of numbers), rows, notes, other papers' rows."""

    title: str
    sentences: list[str]
    columns: list[tuple[str, bool]]
    lines: list[Line] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    context: list[Quoted] = field(default_factory=list)


def lay_out(rows: Sequence[TableRow], left_out: Sequence[str], context: Sequence[Quoted] = ()) -> Table:
    """Lay out the rows of one data set; `left_out` holds the state of each of its cells without results."""
    group = [row.configuration for row in rows]
    one, models = group[0], list(dict.fromkeys(each["model"] for each in group))
    several = len(models) > 1
    bounds = ["elbo", *(f"ll_{k}" for k in BOUNDS if any(row.numbers[f"ll_{k}"] for row in rows))]
    title = [one.curve.name, f"content {one.curve.content}", f"{one['binarise']} binarisation"]
    title += [*([] if several else models), *shared_in_words(group, IN_COLUMNS)]
    columns = [("Model", False)] if several else []
    columns += [("Method", False), ("ρ", True), ("K", True), ("steps", True), ("seeds", True), ("KL", True)]
    columns += [("top KL", True), ("active units", False), *((_bound(name), True) for name in bounds)]
    table = Table(", ".join(title), _sentences(rows, bounds), columns, context=list(context))
    best = {name: _best(rows, name) for name in bounds}
    previous = one["model"]
    for row, (name, others) in zip(rows, names_in_words(group, IN_COLUMNS), strict=True):
        notes = _footnotes(row, rows, bounds)
        table.footnotes += [text for text in notes if text not in table.footnotes]
        cells = [*([row.configuration["model"]] if several else []), ", ".join([" + ".join(name), *others])]
        first, previous = row.configuration["model"] != previous, row.configuration["model"]
        table.lines.append(Line([*cells, *_cells(row, best)], [table.footnotes.index(text) for text in notes], first))
    table.remarks = _remarks(group, left_out)
    return table


def _cells(row: TableRow, best: Mapping[str, float]) -> list[str | Number]:
    """Everything but the names of a row; `best` holds the highest mean of each bound that has a column."""
    one = row.configuration
    return [
        *(
            f"{one.rho:.12g}",
            f"{one['ou_samples']}" if one.smoothed else NONE,
            f"{one['steps']:,}",
            f"{len(row.seeds)}",
        ),
        *(_number(row.numbers[name], spread=False) for name in ("kl_total", "kl_top")),
        *(row.au, *(_number(row.numbers[name], best=value) for name, value in best.items())),
    ]


def _bound(name: str) -> str:
    return "ELBO" if name == "elbo" else f"L_{name.removeprefix('ll_')}"


def _best(rows: Sequence[TableRow], name: str) -> float:
    """Return the highest mean; NaN, which nothing equals, where there are no two to compare."""
    means = [mean.mean for row in rows if (mean := row.numbers[name])]
    return max(means) if len(means) > 1 else math.nan


def _number(value: Mean | None, spread: bool = True, best: float = math.nan) -> str | Number:
    if value is None:
        return NONE
    error = not math.isnan(value.se) and math.isnan(value.sd)
    width = value.se if error else value.sd
    shown = f"{width:.2f}" if spread and not math.isnan(width) else ""
    return Number(f"{value.mean:.2f}", shown, error, value.mean == best)


def _sentences(rows: Sequence[TableRow], bounds: Sequence[str]) -> list[str]:
    """Say what the numbers are: only what is there is explained."""
    shown = [value for row in rows for name in bounds if (value := row.numbers[name])]
    over = "in nats per image, mean over seeds"
    over += " ± standard deviation over seeds" if any(value.n > 1 for value in shown) else ""
    errors = any(value.n == 1 and not math.isnan(value.se) for value in shown)
    brackets = " (in brackets, where there is one seed: standard error of the estimate over images)" if errors else ""
    sentences = [f"Unsmoothed models on test images, {over}{brackets}."]
    units = "Active units (variance of the posterior mean over images above 0.01) of each layer from top to bottom"
    sentences.append(f"{units}, median over seeds.")
    if choice := _one_choice(rows):
        sentences.append(f"L_100 on {choice:,} test images.")
    if any(row.configuration["kl_anneal"] for row in rows):
        sentences.append("KL annealing a:b: weight 0 for a steps, then linearly up to 1 over b steps.")
    if any(not math.isnan(_best(rows, name)) for name in bounds):
        sentences.append("Bold: the highest mean of a column, whatever the spread.")
    return sentences


def _one_choice(rows: Sequence[TableRow]) -> int:
    """Return the number of test images that every L_100 was taken on; 0 if it is not one number."""
    numbers = {number for row in rows for number in row.examples}
    return numbers.pop() if len(numbers) == 1 else 0


def _footnotes(row: TableRow, rows: Sequence[TableRow], bounds: Sequence[str]) -> list[str]:
    """Say what a reader of this row must know."""
    one, notes = row.configuration, []
    if one.curve.unfinished:
        notes.append(f"KL annealing not finished: its weight had reached {one.curve.unfinished} at the last step")
    if layers := _at_floor(row):
        notes.append(f"the KL of {layers} lies at the free-bits floor (within 5 %, or below): no evidence of use")
    if len(one.curve.devices) > 1:
        notes.append(f"seeds from different devices ({', '.join(one.curve.devices)})")
    most = max(len(other.seeds) for other in rows)
    if len(row.seeds) < most:
        notes.append(f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}, where others have up to {most}")
    for name in bounds:
        value = row.numbers[name]
        if value and value.n < len(row.seeds):
            notes.append(f"{_bound(name)} of {value.n} of {len(row.seeds)} seeds")
    if row.examples and not _one_choice(rows):
        notes.append(f"L_100 on {' or '.join(f'{n:,}' for n in row.examples)} test images")
    return notes


def _at_floor(row: TableRow) -> str:
    """Name the layers that lie at the free-bits floor, and in how many seeds where it is not in all; "" for none."""
    found, seeds = Counter(layer for layers in row.at_floor for layer in layers), len(row.seeds)
    names = [
        ("the top layer" if layer == row.depth else f"layer {layer}")
        + (f" (in {count} of {seeds} seeds)" if count < seeds else "")
        for layer, count in sorted(found.items())
    ]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _remarks(group: Sequence[Configuration], left_out: Sequence[str]) -> list[str]:
    remarks = []
    devices = sorted({device for each in group for device in each.curve.devices})
    if len(devices) > 1:
        remarks.append(f"Trained on different devices ({', '.join(devices)}), which agree within rounding only.")
    if len({each["precision"] for each in group}) > 1:
        remarks.append("Trained in different precisions.")
    if left_out:
        remarks.append(f"Cells without results are left out: {counted(left_out)}.")
    return remarks
