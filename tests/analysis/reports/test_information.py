"""Information from directories to figure and csv: the numbers, the regions that are drawn, what is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.axes.paper import Paper
from analysis.figures.information import MAX_CURVES, curves_drawn, draw_information
from analysis.frames.curves import curves
from analysis.frames.gather import GatherError, gather
from analysis.reports import information
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.information import COLUMNS, information_table
from sweeps.grid.cell import SCHEMA, Cell

Make = Callable[..., list[Cell]]
RHOS = (0.5, 0.8, 0.9, 0.95, 1.0)


def estimates(cell: Cell) -> dict[str, float]:
    """Information that is a third of a layer's KL at least and two thirds at most, more by the seed."""
    shift = 0.01 * cell.member.seed
    found: dict[str, float] = {}
    for place, kl in (("1", 6.0), ("2", 3.0), ("top", 3.0)):
        found |= {f"info_{place}": kl / 3 + shift, f"info_{place}_se": 0.1, f"info_{place}_high_se": 0.1}
        found |= {f"info_{place}_high": 2 * kl / 3 + shift, f"info_{place}_gauss": kl / 2}
    return found


def evaluate(root: Path, cells: list[Cell], **change: Any) -> None:
    for cell in cells:
        facts = {"schema": SCHEMA, "cell_id": cell.id, "metrics": estimates(cell), "paths": 8, "examples": 500}
        facts |= {"asked": 500} | change
        (root / "cells" / cell.id / "eval-information.json").write_text(json.dumps(facts))


@pytest.fixture
def results(make_results: Make, tmp_path: Path) -> Path:
    cells = make_results(tmp_path / "a", rhos=RHOS, seeds=(0, 1, 2), top_kl=lambda cell: 3.0)
    evaluate(tmp_path / "a", cells)
    return tmp_path / "a"


def test_a_row_for_each_layer_over_seeds(results: Path) -> None:
    table = information_table(curves(gather([results]).frame))
    assert list(table) == list(COLUMNS)
    assert len(table) == len(RHOS) * 2
    first, top = table[table["layer"] == 1], table[table["layer"] == 2]
    assert set(top["kl_median"]) == set(top["kl_from_here_median"]) == {3.0}
    assert set(first["kl_from_here_median"]) == {9.0}, "what bounds a lower layer is its KL and all above it"
    np.testing.assert_allclose(top["info_median"], 1.01)
    np.testing.assert_allclose(top["info_max"], 1.02)
    np.testing.assert_allclose(first["info_high_median"], 4.01)
    assert set(table["examples"]) == {500}
    assert set(table["n_seeds"]) == {3}


def test_regions_stand_on_each_other_beneath_the_kl(results: Path) -> None:
    group = curves(gather([results]).frame)
    figure = draw_information(information_table(group), group)
    top, first = figure.axes
    assert (top.get_label(), first.get_label()) == ("0 layer 2", "0 layer 1")
    edges = {}
    for region in top.collections:
        corners = np.asarray(region.get_paths()[0].vertices)
        edges[region.get_gid()] = (corners[:, 1].min(), corners[:, 1].max())
    assert edges["known"] == pytest.approx((0, 1.01))
    assert edges["open"] == pytest.approx((1.01, 2.01))
    assert edges["noise"] == pytest.approx((2.01, 3.0))
    (line,) = [line for line in top.get_lines() if line.get_gid() == "kl"]
    assert line.get_xdata() == pytest.approx(RHOS)
    assert not [line for line in top.get_lines() if line.get_gid() == "ceiling"]


def test_the_ceiling_is_drawn_where_it_binds(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path / "a", rhos=RHOS, top_kl=lambda cell: 3.0)
    evaluate(tmp_path / "a", cells, examples=3, asked=3)
    group = curves(gather([tmp_path / "a"]).frame)
    ax = draw_information(information_table(group), group).axes[0]
    (ceiling,) = [line for line in ax.get_lines() if line.get_gid() == "ceiling"]
    assert np.asarray(ceiling.get_ydata()) == pytest.approx([math.log(3)] * 2)
    notes = information.report(PlotRequest([tmp_path / "a"], formats=())).notes
    assert any("layer 1, layer 2: the lower estimate is at its ceiling, log N" in note for note in notes)


def test_files_and_what_is_said(results: Path, make_results: Make, tmp_path: Path) -> None:
    evaluated = [path.parent for path in results.glob("cells/*/eval-information.json")]
    (evaluated[0] / "eval-information.json").unlink()
    report = information.report(PlotRequest([results]))
    assert [path.name for path in report.files] == ["information.png", "information.pdf", "information.csv"]
    assert any("1 of 15 complete cells lack information" in note for note in report.notes)
    assert pd.read_csv(report.files[2])["info_median"].notna().all()
    models = [f"mlp2x{width}h8" for width in (2, 3, 4, 5, 6)]
    evaluate(tmp_path / "b", make_results(tmp_path / "b", rhos=RHOS, models=models))
    many = information.report(PlotRequest([tmp_path / "b"], formats=("png",)))
    assert any(f"this figure shows {MAX_CURVES} curves; left out: mnist:embedded, mlp2x6h8" in n for n in many.notes)


def test_without_any_it_says_how_to_get_it(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a")
    with pytest.raises(GatherError, match=r"hvae-sweep evaluate .*/a --what information"):
        information.report(PlotRequest([tmp_path / "a"]))
    assert not (tmp_path / "a" / "figures").exists()


def test_everything_is_inside(make_results: Make, tmp_path: Path) -> None:
    models = ["mlp2x2h8", "mlp2x3h8"]
    evaluate(tmp_path / "a", make_results(tmp_path / "a", rhos=RHOS, models=models, datasets=("null:mnist:embedded",)))
    for some in (models, models[:1]):
        frame = gather([tmp_path / "a"]).frame
        group = curves(frame[frame["model"].isin(some)])
        figure = draw_information(information_table(group), group)
        figure.draw_without_rendering()
        legend, words = figure.legends[0].get_window_extent(), figure.texts[-1].get_window_extent()
        boxes = [legend, words, *(box for ax in figure.axes if (box := ax.get_tightbbox()) is not None)]
        for box in boxes:
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0
        assert not legend.overlaps(words)
        assert not any(legend.overlaps(box) for box in boxes[2:])


def test_rows_are_layers_whatever_the_depth_of_a_column(make_results: Make, tmp_path: Path) -> None:
    """A label stands beside panels of its own layer alone."""
    cells = make_results(tmp_path, models=("mlp2x4h8", "mlp3x4h8"), rhos=RHOS)
    evaluate(tmp_path, cells)
    frame = gather([tmp_path]).frame.assign(info_3=1.0, info_3_high=2.0, info_3_gauss=1.5)
    group = curves(frame)
    figure = draw_information(information_table(group), group)
    tops: dict[str, set[float]] = {}
    for ax in figure.axes:
        tops.setdefault(str(ax.get_label()).split(" ", 1)[1], set()).add(round(ax.get_position().y1, 6))
    assert {layer: len(heights) for layer, heights in tops.items()} == {"layer 1": 1, "layer 2": 1, "layer 3": 1}
    assert sorted(ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()) == [f"layer {i}\n(nats)" for i in (1, 2, 3)]


def test_curves_of_one_model_come_before_those_of_the_next(make_results: Make, tmp_path: Path) -> None:
    """Two data sets of one model, not two models of one data set: rows of a figure are then the same layers."""
    data = ("mnist:embedded", "glyphs:embedded")
    evaluate(tmp_path, make_results(tmp_path, datasets=data, models=("mlp2x4h8", "mlp2x8h8"), rhos=RHOS))
    shown = curves_drawn(curves(gather([tmp_path]).frame), Paper("column"))
    assert [(curve["dataset"], curve["model"]) for curve in shown] == [("glyphs", "mlp2x4h8"), ("mnist", "mlp2x4h8")]
    done = information.report(PlotRequest([tmp_path], width="column"))
    (line,) = [note for note in done.notes if "left out" in note]
    assert line.count("mlp2x8h8") == 2
    assert "mlp2x4h8" not in line
