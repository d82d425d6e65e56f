"""What a table says, before it is markdown or LaTeX: caption, columns, rows with their footnotes, remarks.

One table holds one data set in one binarisation: static and dynamic MNIST differ by nats. Within it rows are grouped by
model.

Marked are the highest mean ELBO and every other whose mean +- deviation overlaps with its own, where every row has at
least LEAST_SEEDS seeds: with fewer nothing says how far a mean would move with others. No L_k is marked: how far two
models differ on other images would be known from their paired differences, which are not recorded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.frames.bits import BITS
from analysis.frames.configurations import Configuration
from analysis.summaries.seed_means import Mean, TableRow, measured
from analysis.tables.quoted import Quoted
from analysis.words.incomplete import counted
from analysis.words.methods import names_in_words, shared_in_words, told_apart_by
from sweeps.grid.declared import binarised

IN_COLUMNS = ("ou_samples", "steps")
NONE = "–"
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Number:
    """A number in nats per image, its standard deviation over seeds and its standard error over images, if any.

    best: no other of its column is known to be higher.
    """

    text: str
    spread: str = ""
    error: str = ""
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One row: its cells, and the footnotes (by index) that its first cell has. first: a new model begins here."""

    cells: list[str | Number]
    marks: list[int]
    first: bool


@dataclass
class Table:
    """One table: a caption of a title and a sentence, columns (name, whether of numbers), rows.

    Below it stand footnotes of rows, sentences that explain columns, remarks, and other papers' rows.
    """

    title: str
    sentence: str
    explained: list[str]
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
    bounds = measured(rows)
    title = [one.curve.name, f"content {one.curve.content}", binarised(one["binarise"])]
    title += [*([] if several else models), *shared_in_words(group, IN_COLUMNS)]
    columns = [("Model", False)] if several else []
    columns += [("Method", False), ("ρ", True), ("K", True), ("steps", True), ("seeds", True), ("KL", True)]
    columns += [("top KL", True), ("active units", False)]
    weights = len({row.parameters for row in rows}) > 1
    shares = any("?" not in row.share for row in rows)
    columns += [*([("share, %", False)] if shares else [])]
    for bound in ("elbo", *bounds):
        columns.append(("ELBO" if bound == "elbo" else _heading(rows, bound), True))
        columns += [(f"{_bound(bound)}, bits/dim", True)] if _in_bits(rows) else []
    columns += [("weights", True)] if weights else []
    sentence, *explained = _sentences(rows, bounds)
    table = Table(", ".join(title), sentence, explained, columns, context=list(context))
    best = _best(rows)
    most = max(len(row.seeds) for row in rows)
    one_choice = {name: _one_choice(rows, name) > 0 for name in bounds}
    previous = one["model"]
    for row, marked, (name, others) in zip(rows, best, names_in_words(group, IN_COLUMNS), strict=True):
        notes = _footnotes(row, most, one_choice)
        table.footnotes += [text for text in notes if text not in table.footnotes]
        cells: list[str | Number] = [row.configuration["model"]] if several else []
        cells.append(", ".join([" + ".join(name), *others]))
        first, previous = row.configuration["model"] != previous, row.configuration["model"]
        named = row.configuration.smoothed or told_apart_by("ou_samples", row.configuration, group)
        k = f"{row.configuration['ou_samples']}" if named else NONE
        cells += _cells(row, k, bounds, marked, shares, _in_bits(rows))
        cells += [_weights(row)] if weights else []
        table.lines.append(Line(cells, [table.footnotes.index(text) for text in notes], first))
    table.remarks = _remarks(group, left_out)
    return table


def _weights(row: TableRow) -> str:
    """Say the number of a model's weights: 61,408 or 7.54 M."""
    count = row.parameters
    return NONE if count is None else f"{count:,}" if count < 10**6 else f"{count / 10**6:.2f} M"


def _in_bits(rows: Sequence[TableRow]) -> bool:
    """Whether pixels have 256 levels, so that bounds are given in bits per dimension too."""
    return any(row.numbers[BITS] for row in rows)


def _cells(row: TableRow, k: str, bounds: Sequence[str], best: bool, shares: bool, bits: bool) -> list[str | Number]:
    """Everything but the names of a row; k is what its column K says."""
    one, numbers = row.configuration, list[str | Number]()
    for name in ("elbo", *bounds):
        numbers.append(_number(row.numbers[name], best=best and name == "elbo"))
        in_bits = BITS if name == "elbo" else f"{name}_{BITS}"
        numbers += [_number(row.numbers.get(in_bits), digits=3)] if bits else []
    return [
        *(
            f"{one.rho:.12g}",
            k,
            f"{one['steps']:,}",
            f"{len(row.seeds)}",
        ),
        *(_number(row.numbers[name], spread=False) for name in ("kl_total", "kl_top")),
        *(row.au, *([row.share] if shares else [])),
        *numbers,
    ]


def _bound(name: str) -> str:
    return "ELBO" if name == "elbo" else f"L_{name.removeprefix('ll_')}"


def _heading(rows: Sequence[TableRow], name: str) -> str:
    """Say on how many images a bound is, if all rows are on as many."""
    count = _one_choice(rows, name)
    return f"{_bound(name)} on {_images(count)}" if count else _bound(name)


def _images(count: int) -> str:
    return f"{count:,} image{'s' if count != 1 else ''}"


def _best(rows: Sequence[TableRow]) -> list[bool]:
    """Say of each row whether its ELBO is marked: none where there are no two rows, or a row has too few seeds."""
    means = [row.numbers["elbo"] for row in rows]
    known = [mean for mean in means if mean]
    if len(known) < 2 or min(mean.n for mean in known) < LEAST_SEEDS:
        return [False] * len(rows)
    highest = max(known, key=lambda mean: mean.mean)
    return [mean is not None and mean.mean + mean.sd >= highest.mean - highest.sd for mean in means]


def _number(value: Mean | None, spread: bool = True, best: bool = False, digits: int = 2) -> str | Number:
    if value is None:
        return NONE
    return Number(
        f"{value.mean:.{digits}f}", _width(value.sd, digits) if spread else "", _width(value.se, digits), best
    )


def _width(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _sentences(rows: Sequence[TableRow], bounds: Sequence[str]) -> list[str]:
    """Say what the numbers are, first of all: only what is there is explained."""
    shown = [value for row in rows for name in ("elbo", *bounds) if (value := row.numbers[name])]
    spread = " ± standard deviation over seeds, where there are several" if any(value.n > 1 for value in shown) else ""
    sentences = [f"Unsmoothed models, in nats per image: mean over seeds{spread}."]
    if bounds:
        sentences.append(
            "KL and ELBO are on all test images, L_k on as many as its heading says, a random choice that is the same "
            "for all rows and seeds: it may lie below the ELBO, or below an L_k of smaller k on other images."
        )
    else:
        sentences.append("KL and ELBO are on all test images.")
    if any(not math.isnan(value.se) for value in shown):
        sentences.append(
            "In brackets: standard error of L_k over its images, which more seeds do not reduce; it is common to rows "
            "on the same images and says nothing of their differences."
        )
    units = "Active units (variance of the posterior mean over images above 0.01) of each layer from top to bottom"
    sentences.append(f"{units}, median over seeds.")
    if any("?" not in row.share for row in rows):
        sentences.append("Share: how much of each layer's posterior-mean variance the image explains, top to bottom.")
    if _in_bits(rows):
        sentences.append(
            "Bits/dim: the same in bits for each of an image's C H W values, sign reversed; less is better."
        )
    if any(row.configuration["kl_anneal"] for row in rows):
        sentences.append("KL annealing (steps a–b): weight 0 up to step a, then linearly up to 1 at step b.")
    if any(_best(rows)):
        sentences.append(
            "Bold: the highest mean ELBO, and those whose ± overlaps with its own: these seeds do not tell them apart."
        )
    elif len(rows) > 1:
        sentences.append(f"No ELBO is marked as the best: that takes {LEAST_SEEDS} seeds in every row.")
    return sentences


def _one_choice(rows: Sequence[TableRow], name: str) -> int:
    """Return the number of test images of every mean of a bound; 0 if it is not one number."""
    numbers = {number for row in rows if row.numbers[name] for number in row.examples[name]}
    return numbers.pop() if len(numbers) == 1 else 0


def _footnotes(row: TableRow, most: int, one_choice: Mapping[str, bool]) -> list[str]:
    """Say what a reader of this row must know, where other rows have up to `most` seeds.

    one_choice: for each bound of the table, whether all rows have it on the same number of images.
    """
    one, notes = row.configuration, []
    if one.curve.unfinished:
        notes.append(f"KL annealing not finished: its weight had reached {one.curve.unfinished} at the last step")
    if layers := _at_floor(row):
        notes.append(f"the KL of {layers} lies at the free-bits floor (within 5 %, or below): no evidence of use")
    if len(one.curve.devices) > 1:
        notes.append(f"seeds from different devices ({', '.join(one.curve.devices)})")
    if len(row.seeds) < most:
        notes.append(f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}, where others have up to {most}")
    for name in ("elbo", *one_choice):
        value = row.numbers[name]
        if value and value.n < len(row.seeds):
            notes.append(f"{_bound(name)} of {value.n} of {len(row.seeds)} seeds")
    for name, comparable in one_choice.items():
        counts = row.examples[name]
        if len(counts) > 1:
            numbers = " and ".join(f"{count:,}" for count in counts)
            notes.append(f"no {_bound(name)}: its seeds are on different choices of images ({numbers})")
        elif counts and not comparable:
            notes.append(f"{_bound(name)} on {_images(counts[0])}: not to be compared with that on others")
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
        remarks.append(f"Trained on different devices ({', '.join(devices)}), which round differently.")
    if len({each["precision"] for each in group}) > 1:
        remarks.append("Trained in different precisions.")
    if left_out:
        remarks.append(f"Cells without results are left out: {counted(left_out)}.")
    return remarks
