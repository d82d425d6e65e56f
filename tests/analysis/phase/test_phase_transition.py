"""What is on the phase-transition figure, read off its artists."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.axes.c_axis import on_c_axis
from analysis.axes.legend import CROSSOVERS, critical_in_words
from analysis.axes.paper import Paper
from analysis.critical.table import critical_table
from analysis.frames.curves import curves
from analysis.frames.gather import gather
from analysis.phase.phase_transition import MAX_MODELS, TITLE
from analysis.phase.phase_transition import draw_phase_transition as draw
from analysis.summaries.summary import summarise
from hvae_core.spec import TrainSpec, retained_variance
from sweeps.grid.cell import Cell
from tests.analysis.boxes import assert_apart, assert_inside


def draw_phase_transition(frame: pd.DataFrame, critical: pd.DataFrame | None = None, **settings: Any) -> Figure:
    """Draw a frame with its own summary and critical values."""
    return draw(frame, summarise(frame), critical_table(frame) if critical is None else critical, **settings)


MakeFrame = Callable[..., pd.DataFrame]
TopKL = Callable[[Cell], float]
BOTH = ("mnist:embedded", "glyphs:embedded")


def panels(figure: Figure, metric: str) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() == metric]


def lines(ax: Axes, gid: str) -> list[Any]:
    return [line for line in ax.get_lines() if line.get_gid() == gid]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in (legend.get_title(), *legend.get_texts())]


def assert_everything_is_inside_and_apart(figure: Figure) -> None:
    """No text leaves the figure, and no legend touches another or the axes above it."""
    figure.draw_without_rendering()
    boxes = [legend.get_window_extent() for legend in figure.legends]
    axes = [box for ax in figure.axes if (box := ax.get_tightbbox()) is not None]
    assert_inside(figure, [*boxes, *axes])
    assert_apart(boxes)
    for one, other in itertools.product(boxes, axes):
        assert not one.overlaps(other)


def test_three_panels_show_the_summary(make_frame: MakeFrame) -> None:
    frame = make_frame(datasets=BOTH, seeds=(0, 1, 2))
    figure = draw_phase_transition(frame)
    assert [ax.get_label() for ax in figure.axes] == ["kl_top", "au_top", "elbo"]
    summary = summarise(frame)
    for ax in figure.axes:
        drawn = lines(ax, "median")
        assert len(drawn) == 2
        for line, dataset in zip(drawn, ("glyphs", "mnist"), strict=True):
            rows = summary[summary["dataset"] == dataset]
            assert np.array_equal(line.get_xdata(), rows["rho"])
            drawn_values = rows[f"{ax.get_label()}_median"]
            zero = drawn_values.max() if ax.get_label() == "elbo" else 0
            assert np.array_equal(line.get_ydata(), drawn_values - zero)
            assert line.get_color() == lines(figure.axes[0], "median")[drawn.index(line)].get_color()
        for points in lines(ax, "seeds"):
            assert len(points.get_xdata()) == 33
        assert len([band for band in ax.collections if band.get_gid() == "range"]) == 2


def test_the_band_is_the_range_over_seeds(make_frame: MakeFrame) -> None:
    frame = make_frame(seeds=(0, 1, 2))
    band = draw_phase_transition(frame).axes[0].collections[0]
    corners = np.asarray(band.get_paths()[0].vertices)
    for rho, cells in frame.groupby("rho"):
        heights = corners[np.isclose(corners[:, 0], float(str(rho))), 1]
        assert (heights.min(), heights.max()) == (cells["kl_top"].min(), cells["kl_top"].max())


def test_one_seed_has_neither_band_nor_points(make_frame: MakeFrame) -> None:
    for ax in draw_phase_transition(make_frame()).axes:
        assert not lines(ax, "seeds")
        assert not [band for band in ax.collections if band.get_gid() == "range"]


def test_curves_differ_in_colour_and_marker(make_results: Callable[..., list[Cell]], tmp_path: Path) -> None:
    for k in (2, 5):
        make_results(tmp_path / f"{k}", datasets=BOTH, objective={"ou_samples": k})
    frame = gather([tmp_path]).frame
    drawn = lines(draw_phase_transition(frame).axes[0], "median")
    assert len({line.get_marker() for line in drawn}) == 4
    assert len({(to_rgb(line.get_color()), line.get_linestyle()) for line in drawn}) == 4
    assert len({to_rgb(line.get_color()) for line in drawn}) == 2
    alone = lines(draw_phase_transition(frame[frame["dataset"] == "mnist"]).axes[0], "median")
    assert len({to_rgb(line.get_color()) for line in alone}) == 2
    assert {line.get_linestyle() for line in alone} == {"-", "--"}


def test_curves_that_coincide_are_all_seen_and_none_looks_stronger(
    make_results: Callable[..., list[Cell]], tmp_path: Path
) -> None:
    """Markers are open and of different shapes, weights and sizes the same; a curve alone has filled ones."""
    for k in (2, 5):
        make_results(tmp_path, datasets=BOTH, objective={"ou_samples": k})
    frame = gather([tmp_path]).frame
    figure = draw_phase_transition(frame)
    for ax in figure.axes:
        drawn = lines(ax, "median")
        assert len({line.get_marker() for line in drawn}) == len(drawn) == 4
        assert {line.get_markerfacecolor() for line in drawn} == {"none"}
        assert len({(line.get_linewidth(), line.get_markersize()) for line in drawn}) == 1
    handles = figure.legends[0].get_lines()
    for line, handle in zip(lines(figure.axes[0], "median"), handles, strict=True):
        for name in ("linewidth", "markersize", "markerfacecolor", "marker", "linestyle", "color"):
            assert getattr(line, f"get_{name}")() == getattr(handle, f"get_{name}")()
    one = frame[(frame["dataset"] == "mnist") & (frame["ou_samples"] == 5)]
    (alone,) = lines(draw_phase_transition(one).axes[0], "median")
    assert alone.get_markerfacecolor() == alone.get_color()
    assert (alone.get_linewidth(), alone.get_markersize()) == (drawn[0].get_linewidth(), drawn[0].get_markersize())


def test_settings_that_differ_in_one_number_run_from_light_to_dark(
    make_results: Callable[..., list[Cell]], tmp_path: Path
) -> None:
    for k in (20, 2, 5):
        make_results(tmp_path / str(k), objective={"ou_samples": k})
    frame = gather([tmp_path]).frame
    order = [int(curve["ou_samples"]) for curve in curves(frame)]
    drawn = lines(draw_phase_transition(frame).axes[0], "median")
    lightness = [float(np.dot(to_rgb(line.get_color()), (0.21, 0.72, 0.07))) for line in drawn]
    assert [order[i] for i in np.argsort(lightness)] == [20, 5, 2]


def test_critical_rho_is_marked_where_it_was_found(make_frame: MakeFrame, kinked_kl: TopKL) -> None:
    frame = make_frame(datasets=BOTH, seeds=(0, 1, 2), top_kl=kinked_kl)
    found = critical_table(frame)
    ax = draw_phase_transition(frame, found).axes[0]
    for drop, bar, (_, row) in zip(lines(ax, "critical"), lines(ax, "interval"), found.iterrows(), strict=True):
        assert list(drop.get_xdata()) == [row["rho_critical"]] * 2
        assert 0.3 * row["plateau"] < drop.get_ydata()[0] == bar.get_ydata()[0] <= row["plateau"] / 2
        assert drop.get_ydata()[1] == 0
        assert list(bar.get_xdata()) == [row["interval90_low"], row["interval90_high"]]
    pairs = zip(lines(ax, "interval"), found["plateau"], strict=True)
    heights = [bar.get_ydata()[0] / plateau for bar, plateau in pairs]
    assert heights[0] > heights[1], "intervals that overlap would hide one another"


def bands(ax: Axes) -> dict[str, tuple[float, float]]:
    """Where the bands stand in rho, by their names."""
    found = {}
    for band in ax.collections:
        if band.get_gid() != "range":
            rho = np.asarray(band.get_paths()[0].vertices)[:, 0]
            found[str(band.get_gid())] = (float(rho.min()), float(rho.max()))
    return found


def test_what_is_less_well_known_is_a_band(make_frame: MakeFrame, kinked_kl: TopKL) -> None:
    one = make_frame(top_kl=kinked_kl)
    (row,) = critical_table(one).to_dict("records")
    ax = draw_phase_transition(one).axes[0]
    assert not lines(ax, "critical")
    assert bands(ax) == {"bracket": (row["grid_low"], row["grid_high"])}
    frame = make_frame(seeds=(0, 1, 2))  # a sigmoid
    ax = draw_phase_transition(frame).axes[0]
    assert not lines(ax, "critical")
    low, high = bands(ax)["crossover"]
    assert low < high
    found = critical_table(frame)
    assert (low + high) / 2 == pytest.approx(found["rho_crossing"].iloc[0])
    assert high - low == pytest.approx(found["widest"].iloc[0]), "as wide as the legend says, no more"
    unknown = draw_phase_transition(frame, found.assign(rounding=0.004, widest=np.inf)).axes[0]
    low, high = bands(unknown)["crossover"]
    assert high - low == pytest.approx(0.004), "the least width, where the curve allows any"
    table = critical_table(make_frame(seeds=(0, 1, 2), top_kl=kinked_kl)).assign(interval90_low=0.8)
    ax = draw_phase_transition(make_frame(seeds=(0, 1, 2), top_kl=kinked_kl), table).axes[0]
    assert not lines(ax, "critical")
    assert bands(ax)["interval"][0] == 0.8


def test_on_the_c_axis_everything_stands_at_its_c(make_frame: MakeFrame, kinked_kl: TopKL) -> None:
    frame = make_frame(seeds=(0, 1, 2), top_kl=kinked_kl)
    table, summary = critical_table(frame), summarise(frame)
    figure = draw(*on_c_axis(frame, summary, table), axis="c")
    ax = figure.axes[0]
    (median,), (drop,) = lines(ax, "median"), lines(ax, "critical")
    assert list(median.get_xdata()) == pytest.approx(list(summary["c"]))
    assert list(drop.get_xdata()) == pytest.approx([table["c_critical"].iloc[0]] * 2)
    (seeds,) = lines(ax, "seeds")
    expected = [retained_variance(rho, K) for rho, K in zip(frame["rho"], frame["ou_samples"], strict=True)]
    assert sorted(seeds.get_xdata()) == pytest.approx(sorted(expected))
    assert "retained variance" in figure.axes[2].get_xlabel()
    assert "$c_c$ = 0.9" in legend_texts(figure)[1]


def test_no_transition_marks_nothing_and_says_so(make_frame: MakeFrame) -> None:
    figure = draw_phase_transition(make_frame(top_kl=lambda cell: 0.01))
    assert not lines(figure.axes[0], "critical")
    assert "top layer inactive at every ρ" in legend_texts(figure)[1]


def test_legend_says_what_defines_the_curve(make_frame: MakeFrame) -> None:
    frame = make_frame(datasets=BOTH)
    texts = legend_texts(draw_phase_transition(frame))
    best = summarise(frame).groupby("dataset")["elbo_median"].max().map(lambda value: f"−{-value:.2f}")
    words = (
        f"K = 5, 3,000 steps, 1 seed, best test ELBO {best['glyphs']} (glyphs), {best['mnist']} (mnist), {CROSSOVERS}"
    )
    assert texts[0].replace(",\n", ", ") == words
    assert [text.split(", ")[0] for text in texts[1:]] == ["glyphs:embedded", "mnist:embedded"]
    contents = [curve.content for curve in curves(frame)]
    assert [text.split(", ")[1].rstrip(",\n").split(",")[0] for text in texts[1:]] == contents
    for text, (_, row) in zip(texts[1:], critical_table(frame).iterrows(), strict=True):
        assert critical_in_words({str(k): v for k, v in row.items()}).replace(", ", "") in text.replace(
            ",\n", ""
        ).replace(", ", "")


def test_incomplete_cells_leave_marks_beneath_the_curve(make_frame: MakeFrame) -> None:
    states = {0.8: "pending", 0.9: "failed", 0.95: "diverged", 1.0: "pending"}
    figure = draw_phase_transition(make_frame(state=lambda c: states.get(c.member.objective.rho, "complete")))
    ax = figure.axes[0]
    (median,) = lines(ax, "median")
    assert not set(states) & set(median.get_xdata())
    for state in ("pending", "failed", "diverged"):
        (marks,) = lines(ax, state)
        assert list(marks.get_xdata()) == [rho for rho, other in states.items() if other == state]
        assert ax.get_ylim()[0] < marks.get_ydata()[0] < 0
    assert legend_texts(figure)[-2:] == ["pending cell", "diverged or failed cell"]
    assert ax.get_xlim()[1] > 1


def test_one_column_per_model_with_its_own_width(make_frame: MakeFrame) -> None:
    figure = draw_phase_transition(make_frame(models=("mlp2x4h8", "mlp8-6")))
    assert figure.get_size_inches()[0] == 7.0
    assert [ax.get_title() for ax in panels(figure, "kl_top")] == ["mlp2x4h8", "mlp8-6"]
    assert [ax.get_yticks()[-1] for ax in panels(figure, "au_top")] == [4, 6]
    labels = [ax.get_ylabel() for ax in panels(figure, "au_top")]
    assert labels == ["active top\nunits (of D)", ""]


def test_one_model_fits_a_column_of_text(make_frame: MakeFrame) -> None:
    figure = draw_phase_transition(make_frame())
    assert figure.get_size_inches()[0] == 3.35
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["top-layer KL (nats)", "active top\nunits (of 4)", "ELBO − best median\n(nats, stretched)"]
    assert figure.axes[-1].get_xlabel() == "OU correlation ρ (axis stretched towards 1)"


def test_no_more_than_four_models(make_frame: MakeFrame) -> None:
    figure = draw_phase_transition(make_frame(models=[f"mlp{depth}x4h8" for depth in range(1, 7)], rhos=(0, 0.5, 1)))
    assert len(panels(figure, "kl_top")) == MAX_MODELS
    assert figure.get_size_inches()[0] == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("datasets", "models", "seeds", "rhos"),
    [
        (BOTH, ["mlp2x4h8"], (0,), None),
        (("mnist:embedded",), ["mlp2x4h8"], (0,), (0.9,)),
        (("mnist:embedded",), ["mlp2x4h8"], (0, 1, 2), (0.9, 1)),
        (
            (*BOTH, "omniglot:burda", "a $x_1$ \x07 日本 and a very long name of a file:npz"),
            ["mlp2x1h8"],
            (0, 1, 2),
            None,
        ),
        (BOTH, [f"mlp{depth}x4h8" for depth in range(1, 5)], (0, 1, 2), None),
        (BOTH, ["mlp64-32-16-8", "mlp3x200"], (0, 1, 2), (0.8, 0.9, 0.95, 1)),
    ],
)
def test_everything_fits(
    make_frame: MakeFrame,
    datasets: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int],
    rhos: Sequence[float] | None,
) -> None:
    options = {} if rhos is None else {"rhos": rhos}
    frame = make_frame(datasets=datasets, models=models, seeds=seeds, train=TrainSpec(100_000), **options)
    assert_everything_is_inside_and_apart(draw_phase_transition(frame))
    assert_everything_is_inside_and_apart(draw_phase_transition(frame, paper=Paper(title=False)))


def test_title_can_be_left_off(make_frame: MakeFrame) -> None:
    frame = make_frame()
    assert draw_phase_transition(frame).get_suptitle() == ""
    assert draw_phase_transition(frame, paper=Paper("page")).get_suptitle() == TITLE
    assert draw_phase_transition(frame, paper=Paper(title=True)).get_suptitle() == TITLE
    without = draw_phase_transition(frame, paper=Paper(title=False))
    assert without.get_suptitle() == ""
    assert without.axes[0].get_title() == "mlp2x4h8"


def test_global_settings_are_left_alone(make_frame: MakeFrame) -> None:
    before = dict(mpl.rcParams)
    draw_phase_transition(make_frame())
    assert dict(mpl.rcParams) == before


def test_nothing_complete_is_an_error(make_frame: MakeFrame) -> None:
    with pytest.raises(ValueError, match="no cell is complete"):
        draw_phase_transition(make_frame(state=lambda cell: "pending"))


def with_share(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
    """Give a result a share of each layer: of the null nothing, of images a half at the top."""
    top = 0.0 if cell.dataset.startswith("null:") else 0.5
    return {**result, "share_1": 1.0, "share_2": top, "share_top": top}


def test_share_has_a_panel_where_it_is_known_and_panels_can_be_chosen(make_frame: MakeFrame) -> None:
    frame = make_frame(seeds=(0, 1), change=with_share)
    figure = draw_phase_transition(frame)
    assert [ax.get_label() for ax in figure.axes] == ["kl_top", "au_top", "share_top", "elbo"]
    (line,) = lines(panels(figure, "share_top")[0], "median")
    assert set(line.get_ydata()) == {0.5}
    assert panels(figure, "share_top")[0].get_ylim()[1] > 1
    assert_everything_is_inside_and_apart(figure)
    one = draw_phase_transition(frame, panels=["kl"], axis="linear")
    assert [ax.get_label() for ax in one.axes] == ["kl_top"]
    assert one.axes[0].get_xlabel() == "OU correlation ρ"
    assert one.get_size_inches()[1] < figure.get_size_inches()[1] - 2
    assert_everything_is_inside_and_apart(one)


def test_information_takes_the_place_of_the_share_where_it_was_evaluated(make_frame: MakeFrame) -> None:
    frame = make_frame(change=with_share)
    figure = draw_phase_transition(frame.assign(info_top=np.linspace(3, 0, len(frame))))
    assert [ax.get_label() for ax in figure.axes] == ["kl_top", "au_top", "info_top", "elbo"]
    assert lines(figure.axes[2], "median")[0].get_ydata()[0] == 3


def test_information_that_only_one_curve_has_sets_the_scale(make_frame: MakeFrame) -> None:
    """Whichever comes first: the largest of NaN and 3 depends on their order."""
    frame = make_frame(datasets=BOTH, change=with_share)
    for dataset in ("mnist", "glyphs"):
        known = frame.assign(info_top=np.where(frame["dataset"] == dataset, 3.0, np.nan))
        ax = panels(draw_phase_transition(known), "info_top")[0]
        assert ax.get_ylim()[1] > 3


def test_information_that_no_curve_of_a_panel_has_is_no_scale(make_frame: MakeFrame) -> None:
    """Of two models, one of them evaluated (`evaluate --models`): the other's panel is empty."""
    frame = make_frame(models=("mlp2x4h8", "mlp2x8h8"), change=with_share)
    known = frame.assign(info_top=np.where(frame["model"] == "mlp2x4h8", 3.0, np.nan))
    one, other = panels(draw_phase_transition(known), "info_top")
    assert lines(one, "median")
    assert other.get_ylim()[1] < 1


def test_a_null_is_grey_behind_its_data_set_and_marks_no_critical_value(
    make_frame: MakeFrame, kinked_kl: TopKL
) -> None:
    """Colours of the data sets stay what they are without nulls."""
    grid = [*np.arange(0.9, 1.0001, 0.004).round(4)]
    data = ("mnist:embedded", "null:mnist:embedded")
    frame = make_frame(datasets=data, seeds=(0, 1, 2), rhos=grid, top_kl=kinked_kl, change=with_share)
    assert not lines(draw_phase_transition(frame).axes[0], "critical"), "no unit is active: nothing comes out of use"
    frame = frame.assign(au_top=frame["au_top"].where(frame["rho"] > grid[0], 1))
    figure = draw_phase_transition(frame)
    by_name = {line.get_color(): line for line in lines(figure.axes[0], "median")}
    grey = next(line for colour, line in by_name.items() if len(set(to_rgb(colour))) == 1)
    other = next(line for colour, line in by_name.items() if len(set(to_rgb(colour))) > 1)
    alone = draw_phase_transition(frame[frame["dataset"] == "mnist"])
    assert to_rgb(other.get_color()) == to_rgb(lines(alone.axes[0], "median")[0].get_color())
    assert grey.get_zorder() < other.get_zorder()
    assert len(lines(figure.axes[0], "critical")) == 1
    assert any("null:mnist" in text for text in legend_texts(figure))
    assert_everything_is_inside_and_apart(figure)


def test_models_share_one_legend_whose_rows_stand_level(
    make_results: Callable[..., list[Cell]], tmp_path: Path, kinked_kl: TopKL
) -> None:
    """Data and settings are named once, the critical rho in a column of each model, the best ELBO once for its data."""
    models = ("mlp2x4h8", "mlp3x4h8", "mlp2x8h8")

    def top_kl(cell: Cell) -> float:  # one model has a short verdict, the others a long one
        return 0.001 if cell.model.depth == 3 else kinked_kl(cell)

    for k in (5, 9):
        options: dict[str, Any] = {"datasets": BOTH, "models": models, "seeds": (0, 1, 2), "top_kl": top_kl}
        make_results(tmp_path, objective={"ou_samples": k}, **options)
    figure = draw_phase_transition(gather([tmp_path]).frame)
    figure.draw_without_rendering()
    (legend,) = [each for each in figure.legends if each.get_gid() == "legend"]
    columns = [each for each in figure.legends if each.get_gid() == "column"]
    assert sorted(column.get_title().get_text() for column in columns) == sorted(models)
    names = [text.get_text() for text in legend.get_texts()]
    assert len({name.strip() for name in names}) == len(names) == 4
    for column in columns:
        cells = column.get_texts()
        assert len(cells) == 4
        assert sum("best median test ELBO" in cell.get_text().replace("\n", " ") for cell in cells) == 2
        for name, cell in zip(legend.get_texts(), cells, strict=True):
            assert cell.get_text().count("\n") == name.get_text().count("\n")
            assert cell.get_window_extent().y1 == pytest.approx(name.get_window_extent().y1, abs=4)
    assert_everything_is_inside_and_apart(figure)


def test_a_crossover_on_the_c_axis_is_as_wide_as_it_is_in_c(make_frame: MakeFrame) -> None:
    frame = make_frame(seeds=(0, 1, 2))  # a sigmoid
    (row,) = critical_table(frame).to_dict("records")
    c = [retained_variance(row["rho_crossing"] + step * row["widest"], row["ou_samples"]) for step in (-0.5, 0, 0.5)]
    low, high = bands(draw(*on_c_axis(frame, summarise(frame), critical_table(frame)), axis="c").axes[0])["crossover"]
    assert (low, high) == pytest.approx((c[0], c[2]))
    assert low < c[1] < high
    near_one = critical_table(frame).assign(rho_crossing=0.99, widest=0.06)
    low, high = bands(draw(*on_c_axis(frame, summarise(frame), near_one), axis="c").axes[0])["crossover"]
    ends = [retained_variance(rho, row["ou_samples"]) for rho in (0.96, 1.0)]
    assert (low, high) == pytest.approx(tuple(ends)), "cut at 1, not narrower on both sides"
    unlimited = critical_table(frame).assign(widest=np.inf)
    assert on_c_axis(frame, summarise(frame), unlimited)[2]["widest"].tolist() == [np.inf]


def test_a_column_of_a_paper_takes_two_models(make_frame: MakeFrame) -> None:
    frame = make_frame(models=("mlp2x4h8", "mlp3x4h8", "mlp2x8h8"), rhos=(0.5, 0.9, 1.0))
    figure = draw_phase_transition(frame, paper=Paper("column"))
    assert len(panels(figure, "kl_top")) == 2
    assert figure.get_size_inches()[0] == 3.35
    assert_everything_is_inside_and_apart(figure)


def test_crossovers_that_overlap_have_hatches_of_their_own(make_frame: MakeFrame) -> None:
    frame = make_frame(datasets=BOTH, seeds=(0, 1, 2))  # sigmoids
    ax = draw_phase_transition(frame).axes[0]
    found = [band for band in ax.collections if band.get_gid() == "crossover"]
    assert len(found) == 2
    assert len({band.get_hatch() for band in found}) == 2


def test_values_that_the_legend_speaks_of_are_labelled(make_frame: MakeFrame, kinked_kl: TopKL) -> None:
    """The ends of a bracket, which round values near them would crowd out."""
    frame = make_frame(top_kl=kinked_kl)
    (row,) = critical_table(frame).to_dict("records")
    figure = draw_phase_transition(frame)
    labels = {f"{tick:g}" for tick in figure.axes[0].get_xticks()}
    assert {f"{row['grid_low']:g}", f"{row['grid_high']:g}"} <= labels
    (found,) = critical_table(make_frame(seeds=(0, 1, 2), top_kl=kinked_kl)).to_dict("records")
    ticks = draw_phase_transition(make_frame(seeds=(0, 1, 2), top_kl=kinked_kl)).axes[0].get_xticks()
    assert min(abs(tick - found["rho_critical"]) for tick in ticks) <= found["resolution"] / 2 + 1e-9
