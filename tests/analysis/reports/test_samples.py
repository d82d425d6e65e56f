"""Which cells are let draw, from where, and that every image is in its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.axes.paper import Width
from analysis.figures.samples import ACROSS
from analysis.frames.curves import curves
from analysis.frames.gather import GatherError
from analysis.reports.samples import let_draw
from analysis.reports.samples import report as samples_report
from analysis.requests.chosen_cells import MAX_CELLS
from analysis.requests.plot_request import PlotRequest
from analysis.requests.report import Report
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger
from sweeps.trained.drawings import Pictures
from tests.analysis.boxes import assert_apart

Make = Callable[..., list[Cell]]
FEW = (0.5, 0.9, 1.0)


@dataclass
class Studio:
    """Draws with cells that have no weights, and keeps which ledger was asked for which cell."""

    asked: list[tuple[Path, str]]

    def pictures(self, ledger: Ledger, cell_id: str, count: int = 10) -> Pictures:
        self.asked.append((ledger.root, cell_id))
        return Pictures(*(np.full((count, 2, 3), shade) for shade in (0.1, 0.2, 0.0, 0.3)))


@pytest.fixture(autouse=True)
def studio(monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = Studio([])
    monkeypatch.setattr("sweeps.trained.drawings.pictures", studio.pictures)
    return studio


def drawn(*directories: Path, cells: tuple[str, ...] = (), datasets: tuple[str, ...] = ()) -> Report:
    return samples_report(
        PlotRequest(directories, directories[0] / "out", formats=("svg",), datasets=datasets), cells=cells
    )


def test_four_cells_over_rho_of_one_curve_are_chosen_where_none_is_named(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, datasets=("glyphs:embedded", "mnist:embedded"), seeds=(0, 1))
    chosen = drawn(tmp_path).table
    assert list(chosen["rho"]) == [0.0, 0.85, 0.97, 1.0]
    assert chosen["seed"].nunique() == chosen["dataset"].nunique() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"objective": {"ou_samples": 20}},
        {"objective": {"smoothing": "ratio"}},
        {"objective": {"beta_top": 0.5}},
        {"objective": {"free_bits": 1.0}},
        {"objective": {"kl_anneal": (10, 20)}},
        {"train": TrainSpec(3000, lr=0.002)},
        {"train": TrainSpec(3000, batch_size=64)},
        {"train": TrainSpec(9000)},
        {"binarise": "dynamic"},
    ],
)
def test_whatever_else_differs_is_never_in_the_same_choice(make_results: Make, tmp_path: Path, other: object) -> None:
    """Values between those of the first curve would be chosen if the two counted as one."""
    make_results(tmp_path / "a", rhos=(0.1, 0.4, 0.7, 1.0))
    make_results(tmp_path / "b", rhos=(0.2, 0.5, 0.8, 0.9), **other)  # type: ignore[arg-type]
    report = drawn(tmp_path)
    assert len(curves(report.table)) == 1
    assert len(report.table) == 4
    (note,) = report.notes
    assert note.startswith("1 of 2 curves is drawn, mnist:embedded, mlp2x4h8, ")


def test_a_curve_of_one_rho_does_not_stand_for_those_of_many(make_results: Make, tmp_path: Path) -> None:
    """Betas of unsmoothed models are curves of one value of rho each, and come first."""
    for beta in (0.2, 0.6):
        make_results(tmp_path, rhos=(1.0,), objective={"beta_top": beta})
    make_results(tmp_path, rhos=FEW, seeds=(1, 2))
    make_results(tmp_path, rhos=FEW[:1], seeds=(0,))
    chosen = drawn(tmp_path).table
    assert chosen["rho"].tolist() == list(FEW)
    assert set(chosen["seed"]) == {1}, "the first seed with all values"


def test_named_cells_are_chosen_and_what_is_no_cell_is_named(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    report = drawn(tmp_path, cells=(cells[3].id[:10], cells[5].id))
    assert set(report.table["cell_id"]) == {cells[3].id, cells[5].id}
    assert cells[3].id in report.text
    with pytest.raises(GatherError, match="'zz' is no complete cell"):
        drawn(tmp_path, cells=("zz",))
    with pytest.raises(GatherError, match=f"at most {MAX_CELLS}"):
        drawn(tmp_path, cells=("",))
    with pytest.raises(GatherError, match="omniglot"):
        drawn(tmp_path, datasets=("omniglot",))


def test_nothing_complete_is_nothing_to_draw(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=FEW, state=lambda cell: "pending")
    with pytest.raises(GatherError, match=r"^nothing to plot: 3 cells, 0 complete \(3 pending\)$"):
        drawn(tmp_path)


def test_results_one_level_down_draw_from_where_they_are_complete(
    make_results: Make, tmp_path: Path, studio: Studio
) -> None:
    """The first of two directories only planned what the second trained; a third is given by itself."""
    make_results(tmp_path / "parent" / "a", rhos=FEW, state=lambda cell: "pending")
    cells = make_results(tmp_path / "parent" / "b", rhos=FEW)
    other = make_results(tmp_path / "c", rhos=(0.7,))
    drawn(tmp_path / "parent", tmp_path / "c")
    expected = [(tmp_path / "parent" / "b", cell.id) for cell in cells] + [(tmp_path / "c", other[0].id)]
    assert sorted(studio.asked) == sorted(expected)


def test_damaged_cells_are_said(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path, rhos=FEW)
    result = Ledger(tmp_path).cell_path(cells[0].id) / "result.json"
    result.write_text("{")
    report = drawn(tmp_path)
    (note,) = report.notes
    assert str(result) in note
    assert cells[0].id not in list(report.table["cell_id"])


@pytest.mark.parametrize("count", [1, 3, 2 * ACROSS])
def test_test_images_lie_over_their_reconstructions_however_few_there_are(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    one = np.arange(count, dtype=float)[:, None, None] * np.ones((2, 3)) / 100
    many = np.zeros((2 * ACROSS, 2, 3))
    monkeypatch.setattr("sweeps.trained.drawings.pictures", lambda *_: Pictures(many, many, one, one + 0.5))
    make_results(tmp_path, rhos=(1.0,))
    frame = drawn(tmp_path).table
    row = let_draw(frame.iloc[0], tmp_path, 1.6)
    _, _, tests = row.blocks
    shown = min(count, ACROSS)
    assert np.array_equal(tests, np.concatenate([one[:shown], one[:shown] + 0.5]))


def test_the_csv_is_what_is_drawn(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path)
    report = samples_report(PlotRequest([tmp_path], formats=["png"]))
    assert report.files == [tmp_path / "figures" / "samples.png", tmp_path / "figures" / "samples.csv"]
    read = pd.read_csv(report.files[1])
    assert read["cell_id"].tolist() == report.table["cell_id"].tolist()
    assert read["rho"].tolist() == [0.0, 0.85, 0.97, 1.0]


def test_a_label_says_all_that_defines_the_cell(make_results: Make, tmp_path: Path) -> None:
    objective = {"ou_samples": 7, "smoothing": "ratio", "beta_top": 0.5, "kl_anneal": (10, 20), "free_bits": 0.5}
    (cell,) = make_results(
        tmp_path, datasets=("$x:npz",), binarise="dynamic", rhos=(0.85,), seeds=(4,), objective=objective
    )
    label = let_draw(drawn(tmp_path).table.iloc[0], tmp_path, 1.6).label
    facts, units = re.split(r"\n(?=top KL)", label)
    assert facts.replace("\n", " ").split(", ") == [
        *(
            r"\$x:npz",
            cell.checksum[:8],
            "mlp2x4h8",
            "HVAE (ratio)",
            "ρ = 0.85",
            "dynamic binarisation",
            "K = 7",
        ),
        *(
            "smoothing ratio",
            "β_top = 0.5",
            "KL annealing (steps 10–30)",
            "free bits 0.5 nats",
            "3,000 steps",
            "seed 4",
        ),
    ]
    assert re.fullmatch(r"top KL \d+\.\d\d nats,\s\d+ of 4 top units active", units)


@pytest.mark.parametrize("width", ["column", "page"])
def test_labels_of_wide_models_leave_the_images_free(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: Width
) -> None:
    make_results(tmp_path, models=("mlp2x200h8",), rhos=FEW, top_kl=lambda cell: 131.25)
    figures: list[Figure] = []

    def keep(figure: Figure, *others: object) -> list[Path]:
        figures.append(figure)
        return []

    monkeypatch.setattr("analysis.reports.samples.write_files", keep)
    samples_report(PlotRequest([tmp_path], width=width))
    (figure,) = figures
    figure.draw_without_rendering()
    labels = [text.get_window_extent() for text in figure.texts if text.get_gid() == "label"]
    images = [box for axes in figure.axes if (box := axes.get_tightbbox()) is not None]
    assert any("of 200 top units active" in text.get_text() for text in figure.texts)
    assert_apart([*labels, *images])
