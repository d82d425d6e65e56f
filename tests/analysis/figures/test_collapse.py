"""What is on the collapse figure, read off its artists."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.axes.paper import Paper
from analysis.figures.collapse import (
    MAX_PRINTED,
    MIN_POINTS,
    SCALES,
    TITLES,
    Quantity,
    draw_collapse,
    ink_on,
    rhos_drawn,
)
from tests.analysis.boxes import assert_apart, assert_inside

WORDS = ["mnist:embedded", "0a1b2c3d", "hidden 200", "K = 5", "100,000 steps", "1 seed"]
FULL, FAILED, DIVERGED, PENDING, NOTHING = (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0)


def make_table(
    depths: range = range(1, 4),
    widths: tuple[int, ...] = (10, 20),
    rhos: tuple[float, ...] = (1.0, 0.8),
    counts: Mapping[tuple[float, int, int], tuple[int, ...]] | None = None,
) -> pd.DataFrame:
    """A block in any order; seeds complete, failed, diverged and pending by (rho, depth, width)."""
    rows: list[dict[str, Any]] = []
    for rho, depth, width in itertools.product(rhos, depths, widths):
        row: dict[str, Any] = {"rho": rho, "depth": depth, "width": width}
        seeds = (counts or {}).get((rho, depth, width), FULL)
        row |= dict(zip(("n_seeds", "n_failed", "n_diverged", "n_pending"), seeds, strict=True))
        top = width - (depth if rho == 1 else 0)
        found = {"au_top": top, "au_total": top * depth, "au_path_top": width, "au_path_total": width * depth - 1}
        for name, number in found.items():
            row[name] = float(number) if seeds[0] else np.nan
            row[f"{name}_fraction"] = row[name] / (width if name.endswith("top") else width * depth)
        row |= {"share_top": 0.9**depth if seeds[0] else np.nan, "share_mean": 0.95 if seeds[0] else np.nan}
        row["elbo"] = -100.0 - depth * rho - width / 100 if seeds[0] else np.nan
        rows.append(row)
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


def maps(figure: Figure, name: str) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() == name]


def mesh(ax: Axes) -> QuadMesh:
    (found,) = [each for each in ax.collections if each.get_gid() == "map"]
    assert isinstance(found, QuadMesh)
    return found


def printed(ax: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in ax.texts if text.get_gid() == "number"}


def marked(ax: Axes, gid: str) -> list[tuple[float, float]]:
    patches = [each for each in ax.patches if each.get_gid() == gid and isinstance(each, Rectangle)]
    return [(each.get_x() + 0.5, each.get_y() + 0.5) for each in patches]


def points(ax: Axes, gid: str) -> list[list[float]]:
    lines = [line for line in ax.get_lines() if line.get_gid() == gid]
    return [[*np.asarray(line.get_xdata()), *np.asarray(line.get_ydata())] for line in lines]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(("active", "prefix"), [("mean", "au"), ("path", "au_path")])
def test_colours_are_fractions_and_numbers_are_counts(active: Any, prefix: str) -> None:
    table = make_table()
    figure = draw_collapse(table, WORDS, quantity=active)
    names = (f"{prefix}_top", f"{prefix}_total", "elbo")
    assert [ax.get_label() for ax in figure.axes] == [*(name for name in names for _ in range(2)), "scale", "scale"]
    panels = [(name, rho, ax) for name in names for rho, ax in zip((1, 0.8), maps(figure, name), strict=True)]
    for name, rho, ax in panels:
        values, texts = np.asarray(mesh(ax).get_array()), printed(ax)
        assert values.shape == (2, 3)
        for _, row in table[table["rho"] == rho].iterrows():
            x, y = int(row["depth"]) - 1, (10, 20).index(row["width"])
            assert values[y, x] == row[name if name == "elbo" else f"{name}_fraction"]
            assert texts[x, y] == (f"−{-row['elbo']:.1f}" if name == "elbo" else f"{row[name]:.0f}")


def test_places_stand_in_order_of_depth_and_width() -> None:
    figure = draw_collapse(make_table(range(9, 12), (100, 20, 3)), WORDS)
    lowest = maps(figure, "au_top")[-1]
    figure.draw_without_rendering()
    assert [text.get_text() for text in lowest.get_xticklabels()] == ["9", "10", "11"]
    assert [text.get_text() for text in lowest.get_yticklabels()] == ["3", "20", "100"]
    corners = np.asarray(mesh(lowest).get_coordinates())
    assert (corners[0, 0].tolist(), corners[-1, -1].tolist()) == ([-0.5, -0.5], [2.5, 2.5])
    assert lowest.get_ylim() == (-0.5, 2.5)
    assert (lowest.get_xlabel(), lowest.get_ylabel()) == ("depth (stochastic layers)", "units per layer")


def test_the_plain_vae_is_above() -> None:
    figure = draw_collapse(make_table(rhos=(0.8, 1.0, 0.95)), WORDS)
    rows = [(text, ax.get_position().y0) for ax in figure.axes for text in ax.texts if text.get_gid() == "row"]
    assert [text.get_text() for text, _ in rows] == ["VAE\nρ = 1", "HVAE\nρ = 0.95", "HVAE\nρ = 0.8"]
    assert rows[0][1] > rows[1][1] > rows[2][1]


def test_one_scale_for_all_fractions_and_one_for_all_elbos() -> None:
    table = make_table()
    figure = draw_collapse(table, WORDS)
    units = [mesh(ax) for name in ("au_top", "au_total") for ax in maps(figure, name)]
    assert {(each.norm.vmin, each.norm.vmax) for each in units} == {(0, 1)}
    elbos = [mesh(ax) for ax in maps(figure, "elbo")]
    assert {(each.norm.vmin, each.norm.vmax) for each in elbos} == {(table["elbo"].min(), table["elbo"].max())}
    assert {each.cmap.name for each in units}.isdisjoint(each.cmap.name for each in elbos)
    scales = maps(figure, "scale")
    assert scales[0].get_xlabel() == "fraction of units active (their number is printed)"
    assert scales[1].get_xlabel() == "test ELBO (nats)"
    assert not any(each.get_rasterized() for ax in figure.axes for each in ax.collections)
    assert [ax.get_xlim() for ax in scales] == [(0, 1), (table["elbo"].min(), table["elbo"].max())]
    for ax, above in zip(scales, ("au_top", "elbo"), strict=True):
        assert ax.get_position().x0 == pytest.approx(maps(figure, above)[0].get_position().x0)
    assert scales[0].get_position().x1 == pytest.approx(maps(figure, "au_total")[0].get_position().x1)


def test_one_elbo_everywhere_still_has_a_scale() -> None:
    figure = draw_collapse(make_table().assign(elbo=-90.0), WORDS)
    assert maps(figure, "scale")[1].get_xlim() == (-90.5, -89.5)


def test_title_and_scale_say_the_definition() -> None:
    assert draw_collapse(make_table(), WORDS).get_suptitle() == TITLES["mean"]
    assert draw_collapse(make_table(), WORDS, quantity="path").get_suptitle() == TITLES["path"]
    assert ("E[μ | x]" in TITLES["mean"], "one sampled path" in TITLES["path"]) == (True, True)
    without = draw_collapse(make_table(), WORDS, quantity="path", paper=Paper(title=False))
    assert not without.get_suptitle()
    assert maps(without, "scale")[0].get_xlabel().startswith(SCALES["path"])
    headings = [maps(without, name)[0].get_title() for name in ("au_path_top", "au_path_total", "elbo")]
    assert headings == ["active units, top layer", "active units, all layers", "test ELBO (nats)"]


def test_what_is_missing_looks_different() -> None:
    counts = {
        **{(1.0, 1, 10): PENDING, (1.0, 2, 10): NOTHING, (1.0, 3, 10): FAILED, (0.8, 1, 20): DIVERGED},
        **{(0.8, 2, 20): (0, 1, 0, 1), (0.8, 3, 20): (2, 0, 1, 0), (0.8, 3, 10): (1, 0, 0, 2)},
    }
    figure = draw_collapse(make_table(counts=counts), WORDS)
    for name in ("au_top", "au_total", "elbo"):
        above, below = maps(figure, name)
        assert sorted(marked(above, "not run")) == [(0, 0), (1, 0)]
        assert marked(above, "failed") == [(2, 0)]
        assert points(above, "cross") == [[2, 0]]
        assert sorted(marked(below, "failed")) == [(0, 1), (1, 1)]
        assert sorted(points(below, "cross")) == [[0, 1], [1, 1]]
        assert points(below, "corner") == [[2.5, 1.5]]
        assert not marked(below, "not run")
        assert not points(above, "corner")
        assert {patch.get_hatch() for patch in above.patches if patch.get_gid() == "not run"} == {"/////"}
        assert {patch.get_hatch() for patch in above.patches if patch.get_gid() == "failed"} == {None}
        assert np.ma.getmaskarray(np.ma.asarray(mesh(above).get_array())).tolist() == [[True] * 3, [False] * 3]
        assert sorted(printed(above)) == [(0, 1), (1, 1), (2, 1)]
        assert sorted(printed(below)) == [(0, 0), (1, 0), (2, 0), (2, 1)]
    some = "some seeds failed or diverged: median of the others"
    assert legend_texts(figure) == ["not run", "failed or diverged", some]


def test_only_marks_that_are_there_are_explained() -> None:
    assert legend_texts(draw_collapse(make_table(), WORDS)) == []
    assert legend_texts(draw_collapse(make_table(counts={(1.0, 1, 10): PENDING}), WORDS)) == ["not run"]
    assert legend_texts(draw_collapse(make_table(counts={(1.0, 1, 10): DIVERGED}), WORDS)) == ["failed or diverged"]


def test_a_number_that_a_complete_cell_lacks_is_a_question() -> None:
    table = make_table()
    table.loc[(table["rho"] == 1) & (table["depth"] == 2) & (table["width"] == 10), ["elbo"]] = np.nan
    figure = draw_collapse(table, WORDS)
    assert printed(maps(figure, "elbo")[0])[1, 0] == "?"
    assert printed(maps(figure, "au_top")[0])[1, 0] == "8"
    assert not marked(maps(figure, "elbo")[0], "not run")


def test_halves_of_a_unit_are_printed() -> None:
    table = make_table()
    table.loc[(table["rho"] == 1) & (table["depth"] == 2) & (table["width"] == 10), ["au_top"]] = 7.5
    texts = printed(maps(draw_collapse(table, WORDS), "au_top")[0])
    assert (texts[1, 0], texts[0, 0]) == ("7.5", "9")


@pytest.mark.parametrize("name", ["viridis", "Greys"])
def test_numbers_stand_out_on_every_colour(name: str) -> None:
    def luminance(rgb: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colour in mpl.colormaps[name](np.linspace(0, 1, 256))[:, :3]:
        pair = sorted([luminance(colour), luminance(to_rgb(ink_on(colour)))])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) > 4.5


def test_every_elbo_is_black_on_a_light_grey() -> None:
    """Contrast (as in WCAG 2) of 7 needs a luminance of 0.3, a grey of 0.584."""
    ax = maps(draw_collapse(make_table(), WORDS), "elbo")[0]
    greys = mesh(ax).get_cmap()(np.linspace(0, 1, 256))[:, :3]
    assert greys.min() > 0.584
    assert np.ptp(greys[:, 0]) > 0.3
    assert {text.get_color() for text in ax.texts if text.get_gid() == "number"} == {"black"}


def test_ink_follows_the_colour_of_the_place() -> None:
    table = make_table()
    dark = (table["rho"] == 1) & (table["depth"] == 3) & (table["width"] == 20)
    table.loc[dark, ["au_top", "au_top_fraction"]] = 0.0
    ax = maps(draw_collapse(table, WORDS), "au_top")[0]
    inks = {text.get_position(): text.get_color() for text in ax.texts if text.get_gid() == "number"}
    assert (inks[2, 1], inks[0, 1]) == ("white", "black")


def test_numbers_of_the_paper_s_grid_can_be_read() -> None:
    figure = draw_collapse(make_table(range(1, 6), (10, 20, 40, 60, 80, 100)), WORDS)
    figure.set_dpi(600)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == 7
    for ax in figure.axes[:-2]:
        texts = [text for text in ax.texts if text.get_gid() == "number"]
        assert len(texts) == 30
        assert min(float(text.get_fontsize()) for text in texts) >= MIN_POINTS
        assert max(text.get_window_extent().width for text in texts) < 0.85 * ax.get_window_extent().width / 5


def test_numbers_are_left_out_of_large_grids() -> None:
    def count(depths: int, name: str) -> int:
        figure = draw_collapse(make_table(range(1, depths + 1)), WORDS)
        return sum(len(printed(ax)) for ax in maps(figure, name))

    assert count(MAX_PRINTED, "au_top") == MAX_PRINTED * 4
    assert count(MAX_PRINTED + 1, "au_top") == 0
    assert count(MAX_PRINTED, "elbo") == 0
    large = draw_collapse(make_table(range(1, 15)), WORDS)
    assert maps(large, "scale")[0].get_xlabel() == "fraction of units active"
    figure = draw_collapse(make_table(range(1, 8)), WORDS)
    assert printed(maps(figure, "elbo")[0])[0, 0] == "−101"


def test_labels_are_thinned_where_they_would_touch() -> None:
    figure = draw_collapse(make_table(range(1, 31), tuple(range(5, 205, 5))), WORDS)
    figure.draw_without_rendering()
    ax = maps(figure, "au_top")[-1]
    for labels, size in ((ax.get_xticklabels(), 30), (ax.get_yticklabels(), 40)):
        boxes = [label.get_window_extent() for label in labels]
        assert 5 < len(boxes) < size
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    assert [label.get_text() for label in ax.get_xticklabels()][:3] == ["1", "4", "7"]


def test_which_rhos_have_maps() -> None:
    few = make_table(rhos=(0.5, 1.0, 0.8))
    assert rhos_drawn(few) == [0.5, 0.8, 1.0]
    rhos = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    assert rhos_drawn(make_table(rhos=rhos)) == [0.0, 0.2, 0.4, 0.6, 1.0]
    sparse = {(rho, depth, width): NOTHING for rho in rhos[:-2] for depth in (1, 2, 3) for width in (10, 20)}
    sparse |= {(rho, 3, 20): PENDING for rho in rhos[:-2]} | {(rho, 1, 10): FAILED for rho in rhos[:-2]}
    assert rhos_drawn(make_table(rhos=rhos, counts=sparse)) == [0.8, 1.0]


@pytest.mark.parametrize("title", [True, False])
@pytest.mark.parametrize(
    ("depths", "widths", "rhos", "words"),
    [
        (range(1, 6), (10, 20, 40, 60, 80, 100), (1.0, 0.8), WORDS),
        (range(2, 3), (10, 20), (1.0, 0.8125), WORDS),
        (range(1, 3), (1000,), (0.8,), [*WORDS, *(f"another setting {i}" for i in range(12))]),
        (range(1, 20), tuple(range(1, 20)), (1.0, 0.8, 0.123456), ["$x_1$ \x07 日本" * 9, *WORDS]),
    ],
)
def test_everything_is_inside_and_apart(
    depths: range, widths: tuple[int, ...], rhos: tuple[float, ...], words: list[str], title: bool
) -> None:
    counts = {(rhos[0], depths[0], widths[0]): PENDING, (rhos[0], depths[0], widths[-1]): FAILED}
    counts[rhos[0], depths[-1], widths[0]] = (1, 1, 0, 0)
    table = make_table(depths, widths, rhos, counts)
    actives: tuple[Quantity, ...] = ("mean", "path", "share")
    for active in actives:
        figure = draw_collapse(table, words, quantity=active, paper=Paper(title=title))
        figure.draw_without_rendering()
        boxes = [box for ax in figure.axes if (box := ax.get_tightbbox()) is not None]
        boxes += [legend.get_window_extent() for legend in figure.legends]
        boxes += [text.get_window_extent() for text in figure.texts if text.get_text()]
        assert_inside(figure, boxes)
        assert_apart(boxes)


def test_names_from_results_are_made_safe_to_draw() -> None:
    texts = [text.get_text() for text in draw_collapse(make_table(), ["$x$", "a\nb"]).texts]
    assert texts[-1] == r"\$x\$, a b"


def test_global_settings_are_left_alone() -> None:
    with mpl.rc_context():
        mpl.rcdefaults()
        before = dict(mpl.rcParams)
        draw_collapse(make_table(), WORDS)
        assert dict(mpl.rcParams) == before


def test_share_is_drawn_on_one_scale_with_percent_printed() -> None:
    table = make_table()
    figure = draw_collapse(table, WORDS, quantity="share")
    assert [ax.get_label() for ax in figure.axes][:2] == ["share_top_percent"] * 2
    ax = maps(figure, "share_top_percent")[0]
    assert set(printed(ax).values()) == {"90", "81", "73"}
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vmax) == (0, 1)
    assert maps(figure, "scale")[0].get_xlabel() == "share from the image (percent is printed)"
