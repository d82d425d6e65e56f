"""Tables: what a row says of its cells, what is marked, and the exact text in each style."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser

from analysis.frames.configurations import configurations
from analysis.frames.csv_text import without_unused
from analysis.frames.gather import GatherError, gather
from analysis.reports.table import report as table_report
from analysis.reports.table import tabulate
from analysis.requests import output
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.seed_means import TableRow, columns, tidy
from analysis.tables.cells import letter
from analysis.tables.latex import escaped, latex
from analysis.tables.layout import Number, Table, lay_out
from analysis.tables.markdown import markdown
from analysis.tables.quoted import CAVEAT, QUOTED, context_rows
from analysis.words.incomplete import missing_states
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]
MakeFrame = Callable[..., pd.DataFrame]
Change = Callable[[Cell, dict[str, Any]], dict[str, Any]]


def measured(**numbers: Callable[[Cell], float]) -> Change:
    """Put given numbers into results."""
    return lambda cell, result: {**result, **{name: number(cell) for name, number in numbers.items()}}


def at_floor(layers: Callable[[float, int], Sequence[int]]) -> Change:
    """Put the KL of some layers of a cell, by rho and seed, at a floor of 0.5 nats, and that of others above it."""

    def change(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        held = layers(cell.member.objective.rho, cell.member.seed)
        return {**result, **{f"kl_{i}": 0.52 if i in held else 0.53 for i in range(1, cell.model.depth + 1)}}

    return change


def rows_of(frame: pd.DataFrame) -> list[TableRow]:
    return [TableRow.of(each) for each in configurations(frame)]


def laid_out(frame: pd.DataFrame) -> Table:
    return lay_out(rows_of(frame), missing_states(frame))


def column(laid: Table, name: str) -> list[str]:
    i = [heading for heading, _ in laid.columns].index(name)
    cells = [line.cells[i] for line in laid.lines]
    return [cell.text if isinstance(cell, Number) else cell for cell in cells]


def footnotes(laid: Table) -> list[list[str]]:
    return [[laid.footnotes[mark] for mark in line.marks] for line in laid.lines]


# rows -------------------------------------------------------------------------------------------------------------


def test_numbers_are_mean_and_deviation_over_seeds(make_frame: MakeFrame) -> None:
    elbo = {0: -100.0, 1: -101.0, 2: -105.0}
    frame = make_frame(rhos=(0.8, 1.0), seeds=tuple(elbo), change=measured(elbo=lambda cell: elbo[cell.member.seed]))
    row = tidy(rows_of(frame)).iloc[0]
    assert row["elbo_mean"] == -102
    assert row["elbo_sd"] == pytest.approx(np.std(list(elbo.values()), ddof=1))
    cells = frame[frame["rho"] == 1]
    for name in ("kl_total", "kl_top", "ll_100"):
        assert row[f"{name}_mean"] == pytest.approx(cells[name].mean())
        assert row[f"{name}_sd"] == pytest.approx(cells[name].std())
    assert row["ll_100_se"] == 0.5
    assert row["seeds"] == "0 1 2"
    assert row["n_seeds"] == row["ll_100_n"] == 3


def test_one_seed_has_no_deviation(make_frame: MakeFrame) -> None:
    row = tidy(rows_of(make_frame(rhos=(1.0,)))).iloc[0]
    assert math.isnan(row["elbo_sd"])
    assert math.isnan(row["ll_100_sd"])
    assert row["ll_100_se"] == 0.5


def test_only_complete_cells_count(make_frame: MakeFrame) -> None:
    frame = make_frame(
        rhos=(1.0,),
        seeds=(0, 1, 2),
        change=measured(elbo=lambda cell: -float(cell.member.seed)),
        state=lambda cell: "diverged" if cell.member.seed == 2 else "complete",
    )
    row = tidy(rows_of(frame)).iloc[0]
    assert (row["elbo_mean"], row["n_seeds"]) == (-0.5, 2)


def test_active_units_are_medians_from_top_to_bottom_in_both_definitions(make_frame: MakeFrame) -> None:
    units = {0: 1, 1: 4, 2: 2}
    frame = make_frame(
        models=("mlp3x4h8",),
        rhos=(1.0,),
        seeds=tuple(units),
        change=measured(au_3=lambda cell: units[cell.member.seed], au_1=lambda cell: 4, au_path_2=lambda cell: 3),
    )
    (row,) = rows_of(frame)
    assert (row.au, row.au_path) == ("2-0-4", "0-3-0")
    (row,) = rows_of(frame[frame["seed"] < 2])
    assert row.au == "2.5-0-4"


def test_the_csv_holds_every_number_and_what_makes_a_configuration(make_frame: MakeFrame) -> None:
    frame = make_frame(
        rhos=(0.8, 1.0),
        seeds=(0, 1),
        objective={"kl_anneal": (10, 20), "free_bits": 0.5},
        change=at_floor(lambda rho, seed: {(0.8, 1): (2,), (1.0, 0): (1,), (1.0, 1): (1, 2)}.get((rho, seed), ())),
    )
    numbers, text = tabulate(frame.assign(kl_weight=0.25), "csv")
    assert list(numbers) == columns(["ll_100"])
    read = pd.read_csv(io.StringIO(text))
    assert list(read) == list(without_unused(numbers))
    assert read["rho"].tolist() == [1.0, 0.8]
    assert read["method"].tolist() == ["kl-anneal+free-bits", "hvae+kl-anneal+free-bits"]
    assert read["elbo_mean"].tolist() == numbers["elbo_mean"].tolist()
    assert read["kl_weight"].tolist() == [0.25, 0.25]
    assert read["at_floor"].tolist() == [2, 1]
    assert read["ll_100_examples"].tolist() == [500, 500]
    assert read["ll_100_se"].tolist() == [0.5, 0.5]
    assert ",2," in text
    assert ",2.0," not in text


def test_columns_that_are_not_there_have_their_defaults(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(1.0,)).drop(columns=["kl_weight", "ll_100", "ll_100_se"])
    for given in (frame, frame.assign(kl_weight=math.nan)):
        row = tidy(rows_of(given)).iloc[0]
        assert (row["kl_weight"], row["at_floor"]) == (1, 0)
        assert laid_out(given).footnotes == []
        assert not any(name.startswith("L_") for name, _ in laid_out(given).columns)
        assert list(tidy(rows_of(given))) == columns([])


# layout -----------------------------------------------------------------------------------------------------------


def best(laid: Table) -> dict[str, list[bool]]:
    return {
        name: [isinstance(cell := line.cells[i], Number) and cell.best for line in laid.lines]
        for i, (name, _) in enumerate(laid.columns)
    }


def elbos(values: dict[float, tuple[float, ...]]) -> dict[str, Any]:
    """Options of a grid whose ELBO is given by rho and seed."""
    change = measured(elbo=lambda cell: values[cell.member.objective.rho][cell.member.seed])
    return {"rhos": tuple(values), "seeds": range(len(next(iter(values.values())))), "change": change}


def test_the_highest_elbo_is_marked_with_all_that_overlap_with_it(make_frame: MakeFrame) -> None:
    """Deviations are 1: means up to 2 below the highest overlap with it; no bound is marked, nor anything else."""
    means = {1.0: -100.0, 0.9: -98.1, 0.8: -100.05, 0.7: -100.15}
    laid = laid_out(make_frame(**elbos({rho: (mean - 1, mean, mean + 1) for rho, mean in means.items()})))
    marked = best(laid)
    assert marked.pop("ELBO") == [True, True, True, False]
    assert not any(any(each) for each in marked.values())
    assert "Bold: the highest mean ELBO, and those whose ± overlaps with its own" in " ".join(laid.explained)


def test_an_elbo_that_nothing_reaches_is_marked_alone(make_frame: MakeFrame) -> None:
    laid = laid_out(make_frame(**elbos({1.0: (-103, -104, -102), 0.9: (-100, -101, -99), 0.8: (-130, -129, -131)})))
    assert best(laid)["ELBO"] == [False, True, False]


def test_too_few_seeds_mark_nothing_and_say_so(make_frame: MakeFrame) -> None:
    options = elbos({0.9: (-100.0, -101.0, -102.0), 1.0: (-150.0, -151.0, -152.0)})
    frame = make_frame(
        **options, state=lambda c: "pending" if c.member.seed == 2 and c.member.objective.rho == 1 else "complete"
    )
    laid = laid_out(frame)
    assert not any(any(each) for each in best(laid).values())
    assert laid.explained[-1] == "No ELBO is marked as the best: that takes 3 seeds in every row."


def test_a_single_row_is_no_best(make_frame: MakeFrame) -> None:
    laid = laid_out(make_frame(rhos=(1.0,), seeds=(0, 1, 2)))
    assert not any(any(each) for each in best(laid).values())
    assert not any("Bold" in sentence or "best" in sentence for sentence in laid.explained)


def test_static_and_dynamic_and_sources_are_tables_of_their_own(make_results: Make, tmp_path: Path) -> None:
    for binarise in ("static", "dynamic"):
        make_results(tmp_path, datasets=("mnist:grey",), binarise=binarise, rhos=(0.8, 1.0))
    make_results(tmp_path, rhos=(0.8, 1.0))
    for style, sign in (("markdown", "| Method"), ("latex", r"\toprule")):
        _, text = tabulate(gather([tmp_path]).frame, style)
        assert text.count(sign) == 3
        parts = text.split(sign)
        titles = ["mnist:embedded.*static", "mnist:grey.*dynamic", "mnist:grey.*static"]
        assert sorted(next(t for t in titles if re.search(t, part)) for part in parts[:3]) == titles


def test_models_are_blocks_of_one_table(make_frame: MakeFrame) -> None:
    laid = laid_out(make_frame(models=("mlp2x4h8", "mlp8-6"), rhos=(0.8, 1.0)))
    assert column(laid, "Model") == ["mlp2x4h8", "mlp2x4h8", "mlp8-6", "mlp8-6"]
    assert column(laid, "Method") == ["VAE", "HVAE"] * 2
    assert [line.first for line in laid.lines] == [False, False, True, False]
    assert latex(laid).count(r"\midrule") == 2
    assert "mlp" not in laid.title


def test_unsmoothed_rows_that_differ_in_k_alone_can_be_told_apart(make_results: Make, tmp_path: Path) -> None:
    """A sweep over K trains an unsmoothed model for each: K does nothing there, but the rows are of different cells."""
    for k in (2, 10):
        make_results(tmp_path, rhos=(0.8, 1.0), objective={"ou_samples": k})
    laid = laid_out(gather([tmp_path]).frame)
    assert list(zip(column(laid, "ρ"), column(laid, "K"), strict=True)) == [
        ("1", "2"),
        ("1", "10"),
        ("0.8", "2"),
        ("0.8", "10"),
    ]


def test_rows_say_what_differs_and_the_title_what_is_shared(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.8, 1.0))
    make_results(tmp_path, rhos=(0.8,), objective={"ou_samples": 10, "kl_anneal": (10, 20)}, train=TrainSpec(90_000))
    make_results(tmp_path, rhos=(1.0,), objective={"free_bits": 0.5, "beta_top": 0.5}, train=TrainSpec(3000, 50))
    laid = laid_out(gather([tmp_path]).frame)
    assert column(laid, "Method") == [
        *("VAE + β_top = 0.5 + free bits 0.5 nats, batch 50", "VAE, batch 100"),
        *("HVAE, batch 100", "HVAE + KL annealing (steps 10–30), batch 100"),
    ]
    assert column(laid, "K") == ["–", "–", "5", "10"]
    assert column(laid, "ρ") == ["1", "1", "0.8", "0.8"]
    assert column(laid, "steps") == ["3,000", "3,000", "3,000", "90,000"]
    content = configurations(gather([tmp_path]).frame)[0].curve.content
    assert laid.title == f"mnist:embedded, content {content}, static binarisation, mlp2x4h8, lr 0.001"
    assert "KL annealing (steps a–b): weight 0 up to step a, then linearly up to 1 at step b." in laid.explained


def test_what_a_reader_must_know_of_a_row_is_a_footnote(make_frame: MakeFrame) -> None:
    frame = make_frame(
        models=("mlp3x4h8",),
        rhos=(0.8, 0.9, 1.0),
        seeds=(0, 1),
        state=lambda c: "failed" if (c.member.objective.rho, c.member.seed) == (0.9, 1) else "complete",
        change=lambda c, result: {**result, "device": f"gpu {c.member.seed if c.member.objective.rho == 1 else 0}"},
    )
    frame["kl_weight"] = np.where(frame["rho"] == 0.9, 0.18, 1.0)
    laid = laid_out(frame)
    assert footnotes(laid) == [
        ["seeds from different devices (gpu 0, gpu 1)"],
        [
            "KL annealing not finished: its weight had reached 0.18 at the last step",
            "1 seed, where others have up to 2",
        ],
        [],
    ]
    assert laid.remarks == [
        "Trained on different devices (gpu 0, gpu 1), which round differently.",
        "Cells without results are left out: 1 failed.",
    ]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([(3,), (3,)], "the top layer"),
        ([(1,), (1,)], "layer 1"),
        ([(1, 2, 3), (1, 2, 3)], "layer 1, layer 2 and the top layer"),
        ([(2, 3), (3,)], "layer 2 (in 1 of 2 seeds) and the top layer"),
        ([(), (3,)], "the top layer (in 1 of 2 seeds)"),
        ([(), ()], ""),
    ],
)
def test_layers_at_the_free_bits_floor_are_named(
    make_frame: MakeFrame, layers: list[tuple[int, ...]], words: str
) -> None:
    """A KL within 5 % of the floor, or below it, is held there by the floor; 6 % above is a KL of its own."""
    frame = make_frame(
        models=("mlp3x4h8",),
        rhos=(1.0,),
        seeds=(0, 1),
        objective={"free_bits": 0.5},
        change=at_floor(lambda rho, seed: layers[seed]),
    )
    where = f"the KL of {words} lies at the free-bits floor (within 5 %, or below): no evidence of use"
    assert footnotes(laid_out(frame)) == [[where] if words else []]


def test_a_footnote_is_written_once(make_frame: MakeFrame) -> None:
    laid = laid_out(make_frame(rhos=(0.8, 0.9, 1.0)).assign(kl_weight=[0.5, 0.25, 0.5]))
    assert [line.marks for line in laid.lines] == [[0], [1], [0]]
    assert len(laid.footnotes) == 2
    assert [letter(i) for i in (0, 1, 25, 26, 27, 52, 701, 702)] == ["a", "b", "z", "aa", "ab", "ba", "zz", "aaa"]


def test_mixed_precision_is_said(make_results: Make, tmp_path: Path) -> None:
    for precision in ("float32", "float64"):
        make_results(tmp_path, rhos=(1.0,), train=TrainSpec(3000, precision=precision))
    laid = laid_out(gather([tmp_path]).frame)
    assert laid.remarks == ["Trained in different precisions."]
    assert column(laid, "Method") == ["VAE, float32", "VAE, float64"]


def test_images_of_the_bound_are_in_the_heading_or_per_row(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.8, 1.0), seeds=(0, 1))
    laid = laid_out(frame)
    assert [name for name, _ in laid.columns][-1] == "L_100 on 500 images"
    assert "KL and ELBO are on all test images, L_k on as many as its heading says" in " ".join(laid.explained)
    frame.loc[frame["rho"] == 0.8, "ll_examples"] = 10_000
    assert footnotes(laid_out(frame)) == [
        [f"L_100 on {count} images: not to be compared with that on others"] for count in ("500", "10,000")
    ]


def test_seeds_on_different_images_have_no_mean(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.8, 1.0), seeds=(0, 1))
    frame.loc[(frame["rho"] == 0.8) & (frame["seed"] == 1), "ll_examples"] = 100
    laid = laid_out(frame)
    assert column(laid, "L_100 on 500 images")[1] == "–"
    assert footnotes(laid) == [[], ["no L_100: its seeds are on different choices of images (100 and 500)"]]
    row = tidy(rows_of(frame)).iloc[1]
    assert math.isnan(row["ll_100_mean"])
    assert row["ll_100_examples"] == "100 500"


def test_every_bound_that_a_row_has_is_a_column_in_ascending_k(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.8, 1.0), seeds=(0, 1))
    for k, rho in ((5000, 0.8), (50, 1.0), (7, 0.0)):
        there = frame["rho"] == rho
        frame[f"ll_{k}"], frame[f"ll_{k}_se"] = np.where(there, -90.0 - k, math.nan), np.where(there, 0.25, math.nan)
        frame[f"ll_{k}_examples"] = pd.Series(np.where(there, 200, math.nan)).astype("Int64")
    laid = laid_out(frame)
    headings = ["L_50 on 200 images", "L_100 on 500 images", "L_5000 on 200 images"]
    assert [name for name, _ in laid.columns][-3:] == headings
    assert (column(laid, headings[0]), column(laid, headings[2])) == (["-140.00", "–"], ["–", "-5090.00"])
    assert "$L_{50}$ on 200 images & $L_{100}$ on 500 images & $L_{5000}$ on 200 images" in latex(laid)
    numbers = tidy(rows_of(frame))
    assert [name for name in map(str, numbers) if name.endswith("_mean") and "bits" not in name][-3:] == [
        "ll_50_mean",
        "ll_100_mean",
        "ll_5000_mean",
    ]
    assert numbers["ll_50_se"].tolist()[0] == 0.25


def test_a_bound_taken_again_is_on_the_images_of_the_second_time(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.8, 1.0))
    frame["ll_100_examples"] = pd.Series([800, pd.NA], dtype="Int64")
    assert [row.examples["ll_100"] for row in rows_of(frame)] == [(500,), (800,)]


def test_a_bound_that_some_seeds_lack(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.8, 1.0), seeds=(0, 1))
    frame["ll_5000"], frame["ll_5000_se"] = [-90.0, math.nan, math.nan, math.nan], [0.25, *[math.nan] * 3]
    laid = laid_out(frame)
    assert column(laid, "L_5000") == ["–", "-90.00"]
    assert footnotes(laid) == [[], ["L_5000 of 1 of 2 seeds"]]
    assert "-90.00 (0.25)" in markdown(laid)
    numbers = tidy(rows_of(frame))
    assert numbers["ll_5000_n"].tolist() == [pd.NA, 1]


def test_the_error_over_images_does_not_shrink_with_seeds(make_frame: MakeFrame) -> None:
    """Errors on the same images are nearly one: of three seeds the mean is given, beside the deviation over seeds."""
    errors = (1.0, 2.0, 3.0)
    frame = make_frame(rhos=(1.0,), seeds=(0, 1, 2))
    frame["ll_100"], frame["ll_100_se"] = [-90.0, -91.0, -92.0], errors
    assert "-91.00 ± 1.00 (2.00)" in markdown(laid_out(frame))
    assert r"$-91.00 \pm 1.00\;(2.00)$" in latex(laid_out(frame))
    assert tidy(rows_of(frame))["ll_100_se"].tolist() == [2.0]


def test_spreads_and_errors_are_explained_only_where_there_are_any(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.9,), seeds=(0, 1))
    bare = frame.drop(columns=["ll_100", "ll_100_se"])
    for given, words in (
        (frame, [True, True, True]),
        (frame[frame["seed"] == 0], [False, True, True]),
        (frame.assign(ll_100_se=math.nan), [True, False, True]),
        (bare, [True, False, False]),
    ):
        laid = laid_out(given)
        said = " ".join([laid.sentence, *laid.explained])
        assert [each in said for each in ("± standard deviation", "In brackets", "L_k on as many")] == words


# text -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(make_frame: MakeFrame) -> pd.DataFrame:
    """A table of a VAE with two seeds, an HVAE with one, and a cell that diverged."""
    elbo = {(1.0, 0): -100.0, (1.0, 1): -101.0, (0.8, 0): -99.123}
    frame = make_frame(
        rhos=(0.8, 1.0),
        seeds=(0, 1),
        top_kl=lambda cell: 10 - 9 * cell.member.objective.rho,
        change=measured(elbo=lambda cell: elbo[cell.member.objective.rho, cell.member.seed]),
        state=lambda cell: "diverged" if (cell.member.objective.rho, cell.member.seed) == (0.8, 1) else "complete",
    )
    return frame.assign(kl_weight=np.where(frame["rho"] == 1, 0.5, 1.0))


CAPTION = (
    "mnist:embedded, content 374c5a2c, static binarisation, mlp2x4h8, batch 100, lr 0.001",
    "Unsmoothed models, in nats per image: mean over seeds ± standard deviation over seeds, where there are several.",
)
EXPLAINED = (
    "KL and ELBO are on all test images, L_k on as many as its heading says, a random choice that is the same for all "
    "rows and seeds: it may lie below the ELBO, or below an L_k of smaller k on other images.",
    "In brackets: standard error of L_k over its images, which more seeds do not reduce; it is common to rows on the "
    "same images and says nothing of their differences.",
    "Active units (variance of the posterior mean over images above 0.01) of each layer from top to bottom, median "
    "over seeds.",
    "No ELBO is marked as the best: that takes 3 seeds in every row.",
)

MARKDOWN = f"""\
**{CAPTION[0]}.** {CAPTION[1]}

| Method   |   ρ |   K | steps | seeds |   KL | top KL | active units |           ELBO |  L_100 on 500 images |
| -------- | --: | --: | ----: | ----: | ---: | -----: | ------------ | -------------: | -------------------: |
| VAE [a]  |   1 |   – | 3,000 |     2 | 7.00 |   1.00 | 0-0          | -100.50 ± 0.71 | -97.20 ± 0.00 (0.50) |
| HVAE [b] | 0.8 |   5 | 3,000 |     1 | 8.80 |   2.80 | 1-1          |         -99.12 |        -99.16 (0.50) |

- [a] KL annealing not finished: its weight had reached 0.5 at the last step.
- [b] 1 seed, where others have up to 2.
- {EXPLAINED[0]}
- {EXPLAINED[1]}
- {EXPLAINED[2]}
- {EXPLAINED[3]}
- Cells without results are left out: 1 diverged.
"""

LATEX = r"""\begin{table*}
  \centering
  \footnotesize
  \caption{CAPTION}
  \begin{tabular}{lrrrrrrlrr}
    \toprule
    Method & $\rho$ & $K$ & steps & seeds & KL & top KL & active units & ELBO & $L_{100}$ on 500 images \\
    \midrule
    VAE\textsuperscript{a} & 1 & -- & 3,000 & 2 & $7.00$ & $1.00$ & 0-0 & BEST
    HVAE\textsuperscript{b} & 0.8 & 5 & 3,000 & 1 & $8.80$ & $2.80$ & 1-1 & $-99.12$ & $-99.16\;(0.50)$ \\
    \bottomrule
  \end{tabular}
  \par\smallskip{\footnotesize \textsuperscript{a} ANNEALING\par}
  \par\smallskip{\footnotesize \textsuperscript{b} 1 seed, where others have up to 2.\par}
  \par\smallskip{\footnotesize EXPLAINED\par}
  \par\smallskip{\footnotesize Cells without results are left out: 1 diverged.\par}
\end{table*}
"""
LATEX = LATEX.replace("CAPTION", ". ".join(CAPTION).replace("±", r"$\pm$").replace("L_k", "$L_{k}$"))
LATEX = LATEX.replace("EXPLAINED", " ".join(EXPLAINED).replace("L_k", "$L_{k}$"))
LATEX = LATEX.replace("BEST", r"$-100.50 \pm 0.71$ & $-97.20 \pm 0.00\;(0.50)$ \\")
LATEX = LATEX.replace("ANNEALING", "KL annealing not finished: its weight had reached 0.5 at the last step.")


def test_markdown_to_the_letter(small: pd.DataFrame) -> None:
    assert tabulate(small, "markdown")[1] == MARKDOWN


def test_latex_to_the_letter(small: pd.DataFrame) -> None:
    assert tabulate(small, "latex")[1] == LATEX


def assert_compiles_in_principle(text: str) -> None:
    """Braces and environments balance, specials are escaped, rows have as many cells as columns, formulas parse."""
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, flags=re.S):
        depth += {"{": 1, "}": -1}.get(token, 0)
        assert depth >= 0
    assert depth == 0
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert text.isascii() or all(c.isascii() or "À" <= c <= "ÿ" for c in text)
    plain = re.sub(r"\\[%&#_${}]", "", text)
    formulas = re.findall(r"\$([^$]*)\$", plain)
    assert plain.count("$") % 2 == 0
    parser: Any = MathTextParser("path")
    for formula in formulas:
        parser.parse(f"${formula}$")
    outside = re.sub(r"\$[^$]*\$", "", plain)
    assert not set("%#_^~") & set(outside)
    for alignment, body in re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", text, flags=re.S):
        columns = len(re.sub(r"p\{[^}]*\}", "p", alignment))
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
        assert [re.search(rule, body) is not None for rule in (r"\\toprule", r"\\midrule", r"\\bottomrule")] == [
            True
        ] * 3
    assert len(re.findall(r"(?<!\\)&", re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", text, flags=re.S))) == 0


def test_names_from_results_are_safe_in_every_style(make_frame: MakeFrame) -> None:
    name = "a_b%c&d#e$f{g}h~i^j\\k|l*m`n<o>[p]\x1b[31m\nq ρ é 日"
    frame = make_frame(
        datasets=(f"{name}:npz",),
        rhos=(0.8, 1.0),
        seeds=(0, 1),
        change=lambda cell, result: {**result, "device": f"{name} {cell.member.seed}"},
    )
    tex = tabulate(frame, "latex", context=True)[1]
    assert_compiles_in_principle(tex)
    assert r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k\textbar{}l" in tex
    assert r"$\rho$ é ?:npz" in tex
    assert "\x1b" not in tex
    text = tabulate(frame, "markdown", context=True)[1]
    assert "\x1b" not in text
    assert r"j\\k\|l\*m\`n\<o>\[p\]?\[31m q" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    assert len({len(line) for line in rows}) == 1


def test_latex_of_everything_compiles_in_principle(make_results: Make, tmp_path: Path) -> None:
    for binarise in ("static", "dynamic"):
        for objective in ({}, {"free_bits": 0.5, "beta_top": 0.5}, {"kl_anneal": (10, 20)}, {"iwae_k": 5}):
            make_results(
                tmp_path,
                datasets=("mnist:grey",),
                models=("mlp2x4h8", "mlp8-6"),
                binarise=binarise,
                objective=objective,
                rhos=(0.8, 1.0),
                seeds=(0, 1) if binarise == "static" else (0,),
                top_kl=lambda cell: 0.5,
            )
    frame = gather([tmp_path]).frame.assign(kl_weight=0.5)
    _, text = tabulate(frame, "latex", context=True)
    assert_compiles_in_principle(text)
    assert r"$\beta_{\mathrm{top}}$ = 0.5" in text
    assert r"(within 5 \%, or below)" in text
    assert escaped("L_100 and L_5000, not XL_1 or L_a") == r"$L_{100}$ and $L_{5000}$, not XL\_1 or L\_a"


# other papers -----------------------------------------------------------------------------------------------------


def test_other_papers_stand_apart_with_their_caveat(small: pd.DataFrame) -> None:
    text = tabulate(small, "markdown", context=True)[1]
    ours, apart = text.split("\n\n---\n\n")
    assert ours + "\n" == MARKDOWN
    assert apart.startswith(CAVEAT)
    row = ("conv ladder VAE, quoted in public code", "3 layers, free bits, skips", "ELBO / 1000 samples")
    assert f"| {' | '.join(row)} | -82.14 / -79.24 |" in " ".join(apart.split())
    tex = tabulate(small, "latex", context=True)[1]
    ours, apart = tex.split(escaped(CAVEAT))
    assert ours.startswith(LATEX.removesuffix("\\end{table*}\n"))
    assert r"$-82.14 / -79.24$ \\" in apart
    assert_compiles_in_principle(tex)


def test_only_the_same_data_and_binarisation_are_quoted(make_frame: MakeFrame) -> None:
    static, dynamic = context_rows("mnist", "static"), context_rows("mnist", "dynamic")
    assert [row.value for row in static if row.binarise] == ["-82.14 / -79.24", "-80.74", "-80.50"]
    assert {row.binarise for row in dynamic} == {"dynamic", None}
    assert len(dynamic) == 12
    assert {row.value for row in dynamic} & {row.value for row in static} == {"85.79", "85.57"}, "of unknown kind"
    assert {row.bound for row in context_rows("cifar10", "none", "binary")} == {"bits/dim"}
    assert context_rows("cifar10", "none", "partial") == []
    for binarise in ("static", "dynamic"):
        quoted = context_rows("omniglot", binarise)
        assert [row.value for row in quoted] == ["-102.1", "-104.92 ± 0.08"]
        assert all("binarisation not stated" in row.conditions for row in quoted)
    assert context_rows("glyphs", "static") == []
    glyphs = make_frame(datasets=("glyphs:embedded",), rhos=(1.0,))
    assert tabulate(glyphs, "latex", context=True)[1] == tabulate(glyphs, "latex")[1]


def test_quoted_numbers_are_those_of_the_sources() -> None:
    numbers = {value for row in QUOTED for _, value in row.values}
    assert numbers == {
        *("86.76", "86.47", "86.35", "85.54", "84.78", "85.33", "85.01", "83.89", "82.90"),
        *("86.10", "86.06", "85.18", "84.59", "84.83", "84.08", "83.48", "82.82"),
        *("-81.74", "-102.1", "-82.14", "-79.24", "-82.39 ± 0.11", "-104.92 ± 0.08"),
        *("-80.74", "-80.50", "85.79", "85.57"),
        *("3.59", "3.56", "3.44", "3.41", "3.35", "3.32", "3.15", "3.111", "2.87"),
    }
    by_model = {(row.source[:4], row.model): row.value for row in QUOTED if "NLL" in row.bound}
    assert by_model["Burd", "2-layer IWAE"] == "85.33 / 83.89 / 82.90"
    assert by_model["own ", "1-layer VAE"] == "86.35 / 86.10 / 86.06"
    assert context_rows("mnist", "dynamic")[0].conditions == "test NLL with 5000 samples, k = 1 / k = 5 / k = 50"


def test_quoted_numbers_have_columns_of_their_own_in_the_csv(make_frame: MakeFrame) -> None:
    frame = make_frame(datasets=("mnist:grey", "mnist:mine"), binarise="dynamic", rhos=(1.0,))
    numbers, text = tabulate(frame, "csv", context=True)
    read = pd.read_csv(io.StringIO(text))
    later = ("model_code", "latents", "mixture", "system", "pseudo_inputs")
    known = [name for name in columns(["ll_100"]) if name not in later and "bits_per_dim" not in name]
    assert list(read) == ["origin", *known, "quoted_model", "quoted", "quoted_value", "quoted_spread"]
    ours, others = read[read["origin"] == "these results"], read[read["origin"] != "these results"]
    assert len(ours) == 2
    assert len(others) == 8 * 3 + 4
    assert ours["quoted_value"].isna().all()
    assert others["elbo_mean"].isna().all()
    assert set(others["binarise"].dropna()) == {"dynamic"}
    one = others[others["quoted_model"].str.contains("gated")].iloc[0]
    assert (one["quoted_value"], one["quoted_spread"]) == (-82.39, 0.11)
    assert numbers["n_seeds"].tolist()[:2] == [1, 1]


# the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("style", "name"), [("markdown", "table.md"), ("latex", "table.tex"), ("csv", "table.csv")])
def test_the_file_is_the_text(make_results: Make, tmp_path: Path, style: str, name: str) -> None:
    make_results(tmp_path, rhos=(0.8, 1.0))
    report = table_report(PlotRequest([tmp_path]), style=style)
    assert report.files == [tmp_path / "figures" / name]
    assert report.files[0].read_text() == report.text
    assert report.text == tabulate(gather([tmp_path]).frame, style)[1]
    assert report.notes == []
    assert len(report.table) == 2
    assert table_report(PlotRequest([tmp_path], tmp_path / "out"), style=style).text == report.text
    assert (tmp_path / "out" / name).read_text() == report.text


def test_what_is_left_out_is_said(make_results: Make, tmp_path: Path) -> None:
    make_results(
        tmp_path,
        rhos=(0.8, 0.9, 1.0),
        seeds=(0, 1),
        state=lambda c: "diverged" if c.member.objective.rho == 1 else "pending" if c.member.seed else "complete",
    )
    make_results(tmp_path, models=("mlp3x4h8",), rhos=[i / 10 for i in range(8)], state=lambda cell: "pending")
    first, second = (c for c in configurations(gather([tmp_path]).frame) if c.rho in (0.9, 0.7))
    report = table_report(PlotRequest([tmp_path]))
    assert report.notes[0] == (
        f"{first.title}: 4 of 6 cells are not complete (2 diverged, 2 pending), left out: "
        "VAE (2 diverged); HVAE, ρ = 0.9 (1 pending); HVAE, ρ = 0.8 (1 pending)"
    )
    assert report.notes[1].startswith(
        f"{second.title}: 8 of 8 cells are not complete (8 pending), left out: HVAE, ρ = 0.7"
    )
    assert report.notes[1].endswith("(1 pending); and 3 more")
    assert report.table["rho"].tolist() == [0.9, 0.8]
    assert "Cells without results are left out: 10 pending, 2 diverged." in report.text


def test_filters(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), models=("mlp2x4h8", "mlp3x4h8"), rhos=(1.0,))
    kept = table_report(PlotRequest([tmp_path], datasets=["mnist"], models=["mlp3x4h8"])).table
    assert kept[["dataset", "model"]].to_numpy().tolist() == [["mnist", "mlp3x4h8"]]
    with pytest.raises(GatherError, match="models: 'mlp9x9' is not in these results"):
        table_report(PlotRequest([tmp_path], models=["mlp9x9"]))


def test_nothing_to_tabulate(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.8, 1.0), state=lambda cell: "pending")
    with pytest.raises(GatherError) as caught:
        table_report(PlotRequest([tmp_path]))
    assert str(caught.value) == "nothing to plot: 2 cells, 0 complete (2 pending)"
    with pytest.raises(ValueError, match="style: 'html' is not allowed; it must be markdown, latex, csv"):
        table_report(PlotRequest([tmp_path]), style="html")
    assert not (tmp_path / "figures").exists()


def test_output_that_cannot_be_written_is_one_line(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_results(tmp_path / "a", rhos=(1.0,))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="is not a directory") as caught:
            table_report(PlotRequest([tmp_path / "a"], out))
        assert str(caught.value).startswith(str(out))

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output, "write_bytes", full)
    with pytest.raises(OSError, match="out: cannot be written to: No space left on device"):
        table_report(PlotRequest([tmp_path / "a"], tmp_path / "out"))


def test_share_of_each_layer_has_a_column_where_it_is_known(make_results: Make, tmp_path: Path) -> None:
    def change(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        return {**result, "share_1": 1.0, "share_2": 0.214, "share_top": 0.214}

    make_results(tmp_path / "a", rhos=(0.8, 1.0), seeds=(0, 1, 2), change=change)
    make_results(tmp_path / "b", rhos=(0.8, 1.0))
    known, unknown = (tabulate(gather([tmp_path / name]).frame)[1] for name in "ab")
    assert "share, %" in known
    assert "21-100" in known
    assert "share" not in unknown
    assert tabulate(gather([tmp_path / "a"]).frame)[0]["share"].tolist() == ["21-100"] * 2
