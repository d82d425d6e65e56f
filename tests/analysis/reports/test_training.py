"""From histories to the training figure: what a curve is, what is drawn, written, marked and left out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.axes import style
from analysis.axes.paper import Paper
from analysis.axes.rho_axis import stretch, unstretch
from analysis.figures.training import TITLE, draw_training
from analysis.figures.training_layout import ENDS, MAX_COLOURS, MAX_LOOKS, MAX_ROWS, Look, Looks, left_out, shares
from analysis.frames.configurations import configurations
from analysis.frames.gather import GatherError, gather
from analysis.frames.histories import histories
from analysis.reports.training import report as training_report
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.trajectories import COLUMNS, Trajectory, tabulate, trajectories
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger
from tests.analysis.boxes import assert_apart, assert_inside

Make = Callable[..., list[Cell]]
Rows = list[dict[str, float | int]]
BELOW = "comes from below the axis"
GRID = [i / 20 for i in range(21)]


def rows_of(cell: Cell, steps: Sequence[int]) -> Rows:
    """A history that tells configurations, seeds and steps apart."""
    rho, seed = cell.member.objective.rho, cell.member.seed
    return [
        {"step": s, "elbo": -100 - 20 * rho - seed - 3000 / s, "recon": 0.0, "kl_top": (2 - rho) * s / 1000 + seed}
        for s in steps
    ]


def result_of_cell(root: Path, cell: Cell) -> dict[str, Any]:
    record = Ledger(root).record(cell.id)
    assert record is not None
    assert record.result is not None
    return {name: value for name, value in record.result.items() if name not in ("schema", "cell_id", "files")}


def every(number: int, until: int = 3000) -> list[int]:
    return list(range(number, until + 1, number))


@pytest.fixture
def trained(make_results: Make) -> Callable[..., list[Cell]]:
    """Write results with histories; `measured` says at which steps."""

    def make(root: Path, measured: Callable[[Cell], Sequence[int]] = lambda cell: every(500), **options: Any) -> Any:
        cells = make_results(root, **{"rhos": (0.8, 0.9, 1.0), **options})
        ledger = Ledger(root)
        for cell in cells:
            rows = rows_of(cell, measured(cell))
            if ledger.state(cell.id) == "complete":
                ledger.complete(cell, result_of_cell(root, cell), {}, rows)
            elif rows:
                ledger.write_history(cell.id, rows)
        return cells

    return make


def found_in(*roots: Path, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame) -> list[Trajectory]:
    frame = change(gather(roots).frame)
    known, notes = histories(roots, frame)
    assert notes == []
    return [each for one in configurations(frame) for each in trajectories(one, known)]


def panels(figure: Figure, metric: str) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() == metric]


def lines(ax: Axes, *gids: str) -> list[Any]:
    return [line for line in ax.get_lines() if line.get_gid() in gids]


def legend_texts(figure: Figure) -> list[list[str]]:
    return [[text.get_text().replace("\n", " ") for text in legend.get_texts()] for legend in figure.legends]


def headings(figure: Figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.texts if text.get_text() != TITLE]


# histories --------------------------------------------------------------------------------------------------------


def test_histories_are_read_by_cell(trained: Make, tmp_path: Path) -> None:
    cells = trained(tmp_path, rhos=(0.8, 1.0))
    known, notes = histories([tmp_path], gather([tmp_path]).frame)
    assert notes == []
    for cell in cells:
        assert known[cell.id].to_dict("records") == [
            {name: row[name] for name in ("step", "elbo", "kl_top")} for row in rows_of(cell, every(500))
        ]


def test_rows_that_are_not_finite_are_left_out(trained: Make, tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, rhos=(1.0,), state=lambda cell: "diverged")
    rows = rows_of(cell, every(500))
    rows[3]["elbo"], rows[4]["kl_top"] = math.nan, math.inf
    Ledger(tmp_path).write_history(cell.id, rows)
    (one,) = found_in(tmp_path)
    assert one.table["step"].tolist() == [500, 1000, 1500, 3000]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("step,elbo\n1,2\n", "has no column kl_top"),
        ("step,elbo,kl_top\n2,1,1\n1,1,1\n", "its steps do not ascend"),
        ("step,elbo,kl_top\n1,1,1\n1,1,1\n", "its steps do not ascend"),
        ("step,elbo,kl_top\n1,much,1\n", "could not convert"),
        ("step,elbo,kl_top\n1,1,1,1\n", "float()"),
    ],
)
def test_a_damaged_history_is_named_and_left_out(trained: Make, tmp_path: Path, text: str, why: str) -> None:
    one, other = trained(tmp_path, rhos=(0.8, 1.0), state=lambda cell: "pending")
    path = Ledger(tmp_path).cell_path(one.id) / "history.csv"
    path.write_text(text)
    known, (note,) = histories([tmp_path], gather([tmp_path]).frame)
    assert list(known) == [other.id]
    assert str(path) in note
    assert why in note
    assert "\n" not in note
    assert note in training_report(PlotRequest([tmp_path], formats=())).notes


def test_a_history_that_its_result_does_not_know_is_left_out(trained: Make, tmp_path: Path) -> None:
    cells = trained(tmp_path, rhos=(0.8, 1.0))
    Ledger(tmp_path).write_history(cells[0].id, rows_of(cells[0], every(100)))
    known, notes = histories([tmp_path], gather([tmp_path]).frame)
    assert list(known) == [cells[1].id]
    assert notes == []
    assert any("is not the file that" in note for note in training_report(PlotRequest([tmp_path], formats=())).notes)


def test_a_cell_in_two_directories_gives_one_curve_in_its_state(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path / "a", rhos=(1.0,), measured=lambda cell: [3000])
    trained(tmp_path / "b", rhos=(1.0,), measured=lambda cell: every(1000))
    trained(tmp_path / "c", rhos=(1.0,), measured=lambda cell: every(100), state=lambda cell: "pending")
    (again,) = trained(tmp_path / "d", rhos=(1.0,), measured=lambda cell: every(1000), state=lambda cell: "pending")
    rows = [{**row, "elbo": 0.0} for row in rows_of(again, every(1000))]
    Ledger(tmp_path / "d").complete(again, result_of_cell(tmp_path / "a", again), {}, rows)
    (one,) = found_in(*(tmp_path / name for name in "abcd"))
    assert one.complete
    assert one.table["elbo_median"].iloc[-1] == -121
    assert one.table["step"].tolist() == [1000, 2000, 3000]
    assert len(found_in(tmp_path)) == 1


# trajectories -----------------------------------------------------------------------------------------------------


def test_a_trajectory_is_median_and_range_over_seeds(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=(1.0,), seeds=(0, 1, 5))
    (one,) = found_in(tmp_path)
    assert one.seeds == (0, 1, 5)
    assert one.main
    assert one.table["step"].tolist() == every(500)
    steps = np.array(every(500))
    assert one.table["elbo_median"].to_numpy() == pytest.approx(-121 - 3000 / steps)
    assert one.table["elbo_low"].to_numpy() == pytest.approx(-125 - 3000 / steps)
    assert one.table["elbo_high"].to_numpy() == pytest.approx(-120 - 3000 / steps)
    assert one.table["kl_top_median"].to_numpy() == pytest.approx(steps / 1000 + 1)
    assert one.table["kl_top_high"].to_numpy() == pytest.approx(steps / 1000 + 5)


def test_seeds_measured_at_other_steps_are_linear_between_them(trained: Make, tmp_path: Path) -> None:
    trained(
        tmp_path, rhos=(1.0,), seeds=(0, 1), measured=lambda cell: [600, 1200, 3000] if cell.member.seed else every(500)
    )
    (one,) = found_in(tmp_path)
    assert one.table["step"].tolist() == [600, 1000, 1200, 1500, 2000, 2500, 3000]
    second = one.table.set_index("step")
    assert second.loc[1200, "elbo_low"] == -121 - 3000 / 1200  # seed 1 as measured
    halfway = np.interp(1500, [1200, 3000], [-121 - 2.5, -121 - 1])
    assert second.loc[1500, "elbo_low"] == pytest.approx(halfway)


def test_seeds_that_end_early_are_no_part_of_the_median(trained: Make, tmp_path: Path) -> None:
    states = {0: "complete", 1: "complete", 2: "pending", 3: "pending", 4: "pending", 5: "diverged"}
    ends = {0: 3000, 1: 3000, 2: 1500, 3: 1500, 4: 2000, 5: 1500}
    trained(
        tmp_path,
        rhos=(1.0,),
        seeds=tuple(states),
        state=lambda cell: states[cell.member.seed],
        measured=lambda cell: every(500, ends[cell.member.seed]),
    )
    found = found_in(tmp_path)
    assert [(each.state, each.seeds, each.last) for each in found] == [
        ("complete", (0, 1), 3000),
        ("pending", (4,), 2000),
        ("diverged", (5,), 1500),
        ("pending", (2, 3), 1500),
    ]
    assert [each.main for each in found] == [True, False, False, False]
    assert found[0].table["elbo_median"].iloc[-1] == -121.5


def test_one_evaluation_is_no_curve(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=(0.8, 1.0), measured=lambda cell: [3000] if cell.member.objective.rho == 1 else every(1500))
    assert [each.configuration.rho for each in found_in(tmp_path)] == [0.8]


# the figure -------------------------------------------------------------------------------------------------------


def test_lines_and_bands_are_the_trajectories(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, seeds=(0, 1, 2))
    found = found_in(tmp_path)
    figure = draw_training(found)
    assert [ax.get_label() for ax in figure.axes] == ["elbo", "kl_top"]
    assert figure.get_size_inches()[0] == 7.0
    for ax in figure.axes:
        metric = ax.get_label()
        bands = [band for band in ax.collections if band.get_gid() == "range"]
        assert len(bands) == 3
        for one, line, band in zip(found, lines(ax, "median"), bands, strict=True):
            assert np.array_equal(line.get_xdata(), one.table["step"])
            assert np.array_equal(line.get_ydata(), one.table[f"{metric}_median"])
            edges = np.asarray(band.get_paths()[0].vertices)
            for step, low, high in one.table[["step", f"{metric}_low", f"{metric}_high"]].itertuples(index=False):
                assert np.unique(edges[edges[:, 0] == step, 1]) == pytest.approx([low, high])
            assert to_rgb(band.get_facecolor()[0][:3]) == pytest.approx(to_rgb(line.get_color()))  # type: ignore[index]
    elbo, kl = figure.axes
    assert elbo.get_ylabel() == "validation ELBO\n(nats per image)"
    assert kl.get_ylabel() == "top-layer KL\n(nats per image)"
    assert [ax.get_xlabel() for ax in figure.axes] == ["optimiser steps"] * 2
    assert [line.get_color() for line in lines(elbo, "median")] == [line.get_color() for line in lines(kl, "median")]
    assert len({to_rgb(line.get_color()) for line in lines(kl, "median")}) == 3
    assert len({line.get_linestyle() for line in lines(kl, "median")}) == 3


def test_one_seed_has_no_band(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path)
    figure = draw_training(found_in(tmp_path))
    assert not any(ax.collections for ax in figure.axes)
    assert headings(figure)[0].endswith("1 seed")


def test_the_legend_says_what_differs_and_the_heading_what_is_shared(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, seeds=(0, 1))
    trained(tmp_path, rhos=(1.0,), objective={"free_bits": 0.5}, train=TrainSpec(3000, lr=0.01))
    found = found_in(tmp_path)
    figure = draw_training(found)
    content = found[0].configuration.curve.content
    assert headings(figure) == [
        f"mnist:embedded, {content}, static binarisation, mlp2x4h8, K = 5, 3,000 steps, batch 100, "
        "1–2 seeds (median, range)"
    ]
    assert legend_texts(figure) == [
        [
            "VAE, lr 0.001, 2 seeds",
            "VAE, free bits 0.5 nats, lr 0.01, 1 seed",
            "HVAE, ρ = 0.9, lr 0.001, 2 seeds",
            "HVAE, ρ = 0.8, lr 0.001, 2 seeds",
            BELOW,
        ]
    ]
    for handle, line in zip(figure.legends[0].get_lines()[:-1], lines(figure.axes[0], "median"), strict=True):
        assert handle.get_color() == line.get_color()
        assert handle.get_linestyle() == line.get_linestyle()


def test_annealing_that_did_not_finish_and_mixed_devices_are_in_the_legend(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=(1.0,), objective={"kl_anneal": (0, 9000)})
    trained(
        tmp_path, rhos=(1.0,), seeds=(0, 1), change=lambda cell, result: {**result, "device": f"gpu{cell.member.seed}"}
    )
    found = found_in(
        tmp_path, change=lambda frame: frame.assign(kl_weight=[0.3333 if a else 1 for a in _anneal(frame)])
    )
    assert legend_texts(draw_training(found))[0] == [
        "VAE, mixed devices, 2 seeds",
        "VAE, KL annealing (steps 0–9k), annealing not finished, KL weight ends at 0.333, 1 seed",
        BELOW,
    ]


def _anneal(frame: pd.DataFrame) -> list[bool]:
    return frame["kl_anneal"].notna().tolist()


def test_partial_curves_are_thin_and_end_in_an_open_marker(trained: Make, tmp_path: Path) -> None:
    states = {0: "complete", 1: "pending", 2: "diverged", 3: "failed"}
    trained(
        tmp_path,
        rhos=(1.0,),
        seeds=tuple(states),
        state=lambda cell: states[cell.member.seed],
        measured=lambda cell: every(500, 3000 - 500 * cell.member.seed),
    )
    found = found_in(tmp_path)
    figure = draw_training(found)
    for ax in figure.axes:
        (whole,) = lines(ax, "median")
        short = lines(ax, "short")
        assert [line.get_xdata()[-1] for line in short] == [2500, 2000, 1500]
        assert all(line.get_linewidth() < whole.get_linewidth() for line in short)
        assert all(line.get_color() == whole.get_color() for line in short)
        assert not lines(ax, "complete")
        for each in found[1:]:
            (mark,) = lines(ax, each.state)
            assert list(mark.get_xdata()) == [each.last]
            assert list(mark.get_ydata()) == [each.table[f"{ax.get_label()}_median"].iloc[-1]]
            assert mark.get_markerfacecolor() == "white"
            assert mark.get_markeredgecolor() == whole.get_color()
        assert len({lines(ax, state)[0].get_marker() for state in ("pending", "diverged", "failed")}) == 3
        assert ax.get_xlim() == (0, 3000)
    assert legend_texts(figure)[0] == [
        *("VAE", "seeds that are not as far", BELOW),
        *("pending cell ends here", "failed cell ends here", "diverged cell ends here"),
    ]
    handles = figure.legends[0].get_lines()
    assert [handle.get_marker() for handle in handles[3:]] == ["o", "s", "X"]
    assert handles[1].get_linewidth() == short[0].get_linewidth()


def test_a_curve_of_pending_cells_alone_is_a_full_line(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=(1.0,), seeds=(0, 1), state=lambda cell: "pending", measured=lambda cell: every(500, 1500))
    figure = draw_training(found_in(tmp_path))
    for ax in figure.axes:
        (line,) = lines(ax, "median")
        assert line.get_linewidth() == pytest.approx(1.1)
        assert list(lines(ax, "pending")[0].get_xdata()) == [1500]
        assert len(ax.collections) == 1


def test_first_steps_and_diverging_curves_do_not_set_the_scales(trained: Make, tmp_path: Path) -> None:
    cells = trained(tmp_path, rhos=(0.9, 1.0), state=lambda c: "diverged" if c.member.objective.rho < 1 else "complete")
    wild: Rows = [{"step": s, "elbo": -(10.0 ** (s / 300)), "kl_top": 10.0 ** (s / 500)} for s in every(300)]
    Ledger(tmp_path).write_history(cells[0].id, wild)
    figure = draw_training(found_in(tmp_path))
    elbo, kl = figure.axes
    late = [-120 - 3000 / s for s in every(500) if s >= 600]
    assert min(late) - 1 < elbo.get_ylim()[0] < min(late) < max(late) < elbo.get_ylim()[1] < max(late) + 1
    assert kl.get_ylim() == pytest.approx((-0.09, 3.15))
    assert len(lines(elbo, "enters")) == 1, "what ends below the panel does not enter it"
    for ax, edge in ((elbo, 0), (kl, 1)):
        (mark,) = lines(ax, "diverged")
        assert list(mark.get_ydata()) == [ax.get_ylim()[edge]]


def test_a_curve_that_comes_from_below_the_axis_is_marked_where_it_enters(trained: Make, tmp_path: Path) -> None:
    """Evaluations at 100, 200 ...: what they are before step 600 sets no scale."""
    trained(tmp_path, rhos=(0.9, 1.0), measured=lambda cell: every(100))
    found = found_in(tmp_path)
    figure = draw_training(found)
    elbo, kl = figure.axes
    low = elbo.get_ylim()[0]
    for mark, one in zip(lines(elbo, "enters"), found, strict=True):
        (step,) = mark.get_xdata()
        assert list(mark.get_ydata()) == [low]
        assert np.interp(step, one.table["step"], one.table["elbo_median"]) == pytest.approx(low)
        assert (one.table["elbo_median"][one.table["step"] < step] < low).all()
    assert not lines(kl, "enters")
    assert legend_texts(figure)[0][-1] == BELOW


def test_no_curve_is_marked_that_stays_in_the_panel(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, measured=lambda cell: every(1000))
    figure = draw_training(found_in(tmp_path))
    assert not lines(figure.axes[0], "enters")
    assert BELOW not in legend_texts(figure)[0]


def test_a_run_that_has_just_begun_has_a_scale_but_sets_none_beside_others(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path / "a", rhos=(1.0,), state=lambda cell: "pending", measured=lambda cell: [100, 200])
    (elbo, _) = draw_training(found_in(tmp_path / "a")).axes
    assert elbo.get_ylim()[0] < -135 < elbo.get_ylim()[1] < -130
    trained(tmp_path / "b", rhos=(0.8,), measured=lambda cell: every(500))
    (elbo, _) = draw_training(found_in(tmp_path / "a", tmp_path / "b")).axes
    assert elbo.get_ylim() == pytest.approx((-119.08, -116.92))
    assert list(lines(elbo, "pending")[0].get_ydata()) == [elbo.get_ylim()[0]]


def test_a_short_run_beside_a_long_one_is_seen_as_well(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=(1.0,), train=TrainSpec(100_000), measured=lambda cell: every(10_000, 100_000))
    trained(tmp_path, rhos=(1.0,), train=TrainSpec(1000), measured=lambda cell: every(100, 1000))
    (elbo, _) = draw_training(found_in(tmp_path)).axes
    assert elbo.get_xlim() == (0, 100_000)
    assert elbo.get_ylim()[0] < -120 - 3000 / 200 < elbo.get_ylim()[0] + 1


def test_a_row_per_data_and_model_with_colours_that_keep_their_meaning(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), models=("mlp2x4h8", "mlp3x4h8"))
    trained(tmp_path, datasets=("mnist:grey",), binarise="dynamic", rhos=(0.8,))
    figure = draw_training(found_in(tmp_path))
    assert MAX_ROWS == 4
    assert [(text.split(", ")[0], text.split(", ")[3]) for text in headings(figure)] == [
        (f"{name}:embedded", model) for name in ("glyphs", "mnist") for model in ("mlp2x4h8", "mlp3x4h8")
    ]
    for metric in ("elbo", "kl_top"):
        rows = panels(figure, metric)
        assert [ax.get_xlabel() for ax in rows] == ["", "", "", "optimiser steps"]
        assert all(one.get_position().y0 > other.get_position().y1 for one, other in itertools.pairwise(rows))
        colours = {tuple(line.get_color() for line in lines(ax, "median")) for ax in rows}
        assert len(colours) == 1


def test_static_and_dynamic_are_never_in_one_row(trained: Make, tmp_path: Path) -> None:
    for binarise in ("static", "dynamic"):
        trained(tmp_path, datasets=("mnist:grey",), binarise=binarise, rhos=(1.0,))
    figure = draw_training(found_in(tmp_path))
    assert sorted(text.split(", ")[2] for text in headings(figure)) == ["dynamic binarisation", "static binarisation"]


def test_thousands_of_steps_are_counted_in_thousands(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, train=TrainSpec(100_000), measured=lambda cell: every(10_000, 100_000))
    figure = draw_training(found_in(tmp_path))
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert ax.get_xlabel() == "optimiser steps (thousands)"
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "25", "50", "75", "100"]


def test_many_rho_values_are_a_colour_scale_without_bands(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=GRID, seeds=(0, 1), state=lambda cell: "pending", measured=lambda cell: every(1000))
    trained(tmp_path, rhos=GRID, objective={"ou_samples": 10}, state=lambda cell: "pending")
    found = found_in(tmp_path)
    figure = draw_training(found)
    elbo, kl, bar = figure.axes
    assert bar.get_label() == "rho"
    assert bar.get_xlabel() == "OU correlation ρ"
    assert set(GRID) <= {*bar.get_xticks(minor=True), *bar.get_xticks()}
    assert not elbo.collections
    drawn = lines(kl, "median")
    assert len(drawn) == 42
    looks = {
        (each.configuration["ou_samples"], each.configuration.rho): line
        for each, line in zip(found, drawn, strict=True)
    }
    assert {line.get_linestyle() for (k, _), line in looks.items() if k == 5} == {"-"}
    assert {line.get_linestyle() for (k, _), line in looks.items() if k == 10} == {"--"}
    assert len({line.get_color() for line in drawn}) == 21
    assert all(looks[5, rho].get_color() == looks[10, rho].get_color() for rho in GRID)
    assert looks[5, 0.0].get_color() == style.sequential(0.0)
    assert looks[5, 1.0].get_color() == style.sequential(1.0)
    middle = float(unstretch((stretch(0) + stretch(1)) / 2))
    assert shares([0.0, middle, 1.0], GRID) == pytest.approx([0, 0.5, 1])
    mesh = bar.collections[0]
    colours = np.asarray(mesh.get_array())[0]
    for rho in GRID:
        nearest = colours[min(int(rho * len(colours)), len(colours) - 1)]
        assert nearest == pytest.approx(looks[5, rho].get_color(), abs=0.02)
    assert legend_texts(figure) == [["HVAE, K = 5", "HVAE, K = 10", BELOW, "pending cell ends here"]]
    assert headings(figure)[0].endswith("1–2 seeds (median)")


def test_a_colour_scale_alone_needs_no_legend_but_for_caveats(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=GRID, objective={"kl_anneal": (0, 9)}, measured=lambda cell: every(1000))
    found = found_in(tmp_path)
    figure = draw_training(found)
    assert legend_texts(figure) == []
    assert "KL annealing (steps 0–9" in headings(figure)[0]
    found = found_in(tmp_path, change=lambda frame: frame.assign(kl_weight=0.5))
    assert legend_texts(draw_training(found)) == [["HVAE, annealing not finished, KL weight ends at 0.5"]]


def test_what_cannot_be_told_apart_is_not_drawn(trained: Make, tmp_path: Path) -> None:
    for k in range(1, 6):
        trained(tmp_path, rhos=GRID[::3], objective={"ou_samples": k}, state=lambda cell: "pending")
    report = training_report(PlotRequest([tmp_path], formats=()))
    assert "7 more configurations than a figure can tell apart are left out (choose with --rho)" in report.notes
    assert len(report.table) == 35
    figure = draw_training(found_in(tmp_path))
    assert len(lines(figure.axes[0], "median")) == 28
    assert {line.get_linestyle() for line in lines(figure.axes[0], "median")} == set(style.LINES)


def test_looks_of_their_own_all_differ(trained: Make, tmp_path: Path) -> None:
    for bits in range(1, MAX_LOOKS + 3):
        trained(tmp_path, rhos=(1.0,), objective={"free_bits": float(bits)}, state=lambda cell: "pending")
    looks = Looks.of([each.configuration for each in found_in(tmp_path)])
    assert looks.rhos == ()
    assert len(looks.by_variant) == len(set(looks.by_variant.values())) == MAX_LOOKS
    assert len({(look.line, look.marker) for look in looks.by_variant.values()}) == MAX_LOOKS, "in grey"
    assert not {look.marker for look in looks.by_variant.values()} & set(ENDS.values())


# Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color vision deficiency, 2009.
EYES = {
    "common": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritan": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


def lab(colour: Sequence[float], eye: str) -> Any:
    """CIELAB coordinates of an sRGB colour as an eye sees it."""
    rgb = np.array(colour)
    linear = EYES[eye] @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_two_methods_with_the_same_dash_have_colours_far_apart(eye: str) -> None:
    looks = [Look.own(i) for i in range(MAX_COLOURS)]
    for one, other in itertools.combinations(looks, 2):
        apart = float(np.linalg.norm(lab(one.colour, eye) - lab(other.colour, eye)))
        assert apart > (22 if one.line == other.line else 8)


@pytest.mark.parametrize("many", [False, True])
def test_everything_fits(trained: Make, tmp_path: Path, many: bool) -> None:
    name = "a $x_1$ \x07 日本 and a very long name of a file"
    trained(
        tmp_path,
        datasets=("mnist:embedded", f"{name}:npz"),
        rhos=GRID if many else (0.85, 1.0),
        state=lambda cell: "pending",
        measured=lambda cell: every(20_000, 80_000),
        train=TrainSpec(100_000),
    )
    for objective in (
        {"kl_anneal": (10_000, 500_000)},
        {"free_bits": 0.5, "kl_anneal": (10_000, 500_000)},
        {"iwae_k": 5},
    ):
        trained(tmp_path, rhos=(0.85, 1.0), objective=objective, seeds=(0, 1), train=TrainSpec(100_000))
    found = found_in(tmp_path, change=lambda frame: frame.assign(kl_weight=0.18))
    figure = draw_training(found)
    figure.draw_without_rendering()
    assert headings(figure)[0].startswith(r"a \$x_1\$ ? ?? and a very long name")
    axes = [box for ax in figure.axes if (box := ax.get_tightbbox()) is not None]
    boxes = [legend.get_window_extent() for legend in figure.legends]
    texts = [text.get_window_extent() for text in figure.texts]
    assert_inside(figure, [*axes, *boxes, *texts])
    assert_apart([*axes, *boxes, *texts])


def test_title_can_be_left_off_and_nothing_is_an_error(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path)
    found = found_in(tmp_path)
    with_title, without = draw_training(found), draw_training(found, paper=Paper(title=False))
    assert with_title.get_suptitle() == TITLE
    assert without.get_suptitle() == ""
    assert without.get_figheight() < with_title.get_figheight()
    with pytest.raises(ValueError, match="no cell has a curve"):
        draw_training([])


def test_rows_that_say_the_same_share_a_legend_and_a_scale(trained: Make, tmp_path: Path) -> None:
    """Beside the first row on a page, beneath the last in a column."""
    trained(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"))
    for width in ("column", "page"):
        figure = draw_training(found_in(tmp_path), paper=Paper(width))
        figure.draw_without_rendering()
        assert len(panels(figure, "elbo")) == 2
        (legend,) = figure.legends
        lowest = min(ax.get_window_extent().y0 for ax in figure.axes)
        assert (legend.get_window_extent().y1 < lowest) == (width == "column")
        named = [ax.get_label() for ax in figure.axes if "steps" in ax.get_xlabel()]
        assert named == (["kl_top"] * 2 if width == "column" else ["elbo", "kl_top"]), "beneath the panels, once"


def test_a_column_of_a_paper_takes_two_rows(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, models=("mlp2x4h8", "mlp3x4h8", "mlp2x8h8"))
    found, column = found_in(tmp_path), Paper("column")
    assert len(panels(draw_training(found, paper=column), "elbo")) == 2
    (note,) = left_out(found, column)
    assert "this figure shows 2 pairs of data and model" in note
    assert left_out(found) == []


# the command ------------------------------------------------------------------------------------------------------


def test_files_and_what_is_in_them(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, seeds=(0, 1))
    report = training_report(PlotRequest([tmp_path], formats=("png", "pdf", "svg")))
    names = ["training.png", "training.pdf", "training.svg", "training.csv"]
    assert report.files == [tmp_path / "figures" / name for name in names]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(names)
    assert report.files[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"/Type3" not in report.files[1].read_bytes()
    read = pd.read_csv(report.files[3])
    assert list(read) == list(COLUMNS)
    found = found_in(tmp_path)
    assert read["elbo_median"].tolist() == tabulate(found)["elbo_median"].tolist()
    assert read.groupby("rho")["step"].apply(list).to_dict() == {rho: every(500) for rho in (0.8, 0.9, 1.0)}
    assert set(read["method"]) == {"vae", "hvae"}
    assert set(read["seeds"]) == {"0 1"}
    assert set(read["n_seeds"]) == {2}
    assert set(read["state"]) == {"complete"}
    assert set(read["conditions"]) == {
        "K = 5, smoothing mean_std, β_top = 1, no KL annealing, no free bits, IWAE k = 1, "
        "3,000 steps, batch 100, lr 0.001, float32"
    }
    assert report.notes == []


def test_the_report_says_where_curves_end(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, state=lambda c: "pending" if c.member.objective.rho == 0.9 else "complete")
    report = training_report(PlotRequest([tmp_path], formats=()))
    assert report.table["curve"].tolist() == ["VAE", "HVAE, ρ = 0.9", "HVAE, ρ = 0.8"]
    assert report.table["state"].tolist() == ["complete", "pending", "complete"]
    assert report.table["step"].tolist() == [3000] * 3
    assert report.table["elbo_median"].tolist() == [-121, -119, -117]
    printed = report.text.splitlines()
    assert len(printed) == 4
    assert printed[0].split() == [
        *("dataset", "source", "binarise", "model", "curve", "state", "n_seeds"),
        *("step", "elbo_median", "kl_top_median"),
    ]
    assert printed[1].split() == [
        *("mnist", "embedded", "static", "mlp2x4h8", "VAE", "complete", "1", "3000", "-121.00", "3.00")
    ]


def test_the_same_results_give_the_same_bytes(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path / "a", rhos=GRID, seeds=(0,), state=lambda cell: "pending")
    one, two = (
        training_report(PlotRequest([tmp_path / "a"], tmp_path / out, formats=("png", "pdf", "svg")))
        for out in ("one", "two")
    )
    assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in two.files]


def test_what_is_left_out_or_partial_is_said(trained: Make, tmp_path: Path) -> None:
    states = {0: "complete", 1: "complete", 2: "pending", 3: "failed", 4: "pending"}
    ends = {0: every(500), 1: [3000], 2: every(500, 1500), 3: [], 4: []}
    trained(
        tmp_path,
        rhos=(0.9, 1.0),
        seeds=tuple(states),
        state=lambda cell: states[cell.member.seed],
        measured=lambda cell: ends[cell.member.seed],
    )
    where = found_in(tmp_path)[0].configuration.title
    assert training_report(PlotRequest([tmp_path], formats=())).notes == [
        f"{where}: 4 of 10 cells have fewer than 2 evaluations (2 complete, 2 failed), left out; "
        "--eval-every N takes one every N steps (complete cells are not trained again: use another --out)",
        f"{where}: 2 of 10 cells are pending and have no curve yet",
        f"{where}: drawn, but not complete: VAE, seed 2, up to step 1,500 of 3,000 (pending); "
        "HVAE, ρ = 0.9, seed 2, up to step 1,500 of 3,000 (pending)",
    ]


def test_many_partial_curves_make_a_short_note(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, rhos=GRID, state=lambda cell: "pending")
    (note,) = training_report(PlotRequest([tmp_path], formats=())).notes
    assert note.endswith("; and 16 more")
    assert note.count("(pending)") == 5


def test_more_rows_than_fit_are_said(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, models=[f"mlp{depth}x4h8" for depth in range(1, 7)], rhos=(1.0,), state=lambda cell: "pending")
    report = training_report(PlotRequest([tmp_path], formats=()))
    content = found_in(tmp_path)[0].configuration.curve.content
    assert report.notes[0] == (
        "this figure shows 4 pairs of data and model; left out: "
        f"mnist:embedded {content}, static binarisation, mlp5x4h8; "
        f"mnist:embedded {content}, static binarisation, mlp6x4h8 (choose with --datasets, --models)"
    )
    assert len(report.table) == 6


def test_nothing_to_plot(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, measured=lambda cell: [3000])
    with pytest.raises(GatherError) as caught:
        training_report(PlotRequest([tmp_path]))
    assert str(caught.value) == (
        "nothing to plot: none of 3 cells has 2 evaluations in its history; --eval-every N takes one every N steps "
        "(complete cells are not trained again: use another --out)"
    )
    assert not (tmp_path / "figures").exists()


def test_filters(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), models=("mlp2x4h8", "mlp3x4h8"))

    def kept(**options: Any) -> set[tuple[str, str, float]]:
        table = training_report(PlotRequest([tmp_path], formats=(), **options)).table
        return set(zip(table["dataset"], table["model"], table["rho"], strict=True))

    assert len(kept()) == 12
    assert kept(datasets=["mnist:embedded"], models=["mlp3x4h8"], rhos=(0.9 + 1e-14, 1)) == {
        *(("mnist", "mlp3x4h8", 0.9), ("mnist", "mlp3x4h8", 1.0))
    }
    with pytest.raises(GatherError, match="rho: '0.7' is not in these results, which hold 0.8, 0.9, 1$"):
        kept(rhos=(0.7,))
    with pytest.raises(GatherError, match="datasets: 'cifar' is not in these results"):
        kept(datasets=["cifar"])


def test_an_unknown_format_writes_nothing(trained: Make, tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(ValueError, match="format: 'gif' is not allowed"):
        training_report(PlotRequest([tmp_path], formats=("gif",)))
    assert not (tmp_path / "figures").exists()
