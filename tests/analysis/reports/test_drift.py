"""The command `drift` on results directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.lines import Line2D

import cli
from analysis.axes.paper import Paper, Width
from analysis.critical.drift import drift_tables
from analysis.figures.drift import SETTLED_WORDS, draw_drift
from analysis.frames.curves import curves
from analysis.frames.gather import gather
from analysis.frames.histories import histories
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger
from tests.analysis.conftest import sigmoid_kl

Make = Callable[..., list[Cell]]
FINE = tuple(np.round(np.arange(0.8, 1.005, 0.02), 3).tolist())


def run(*words: str) -> str:
    done = CliRunner().invoke(cli.plot, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_drift_needs_histories_and_says_how(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path)
    done = CliRunner().invoke(cli.plot, ["drift", str(tmp_path)])
    assert done.exit_code == 4
    assert "--eval-every" in done.output


def test_drift_reads_histories(make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]) -> None:
    cells = make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), train=TrainSpec(4000), top_kl=kinked_kl)
    (tmp_path / "again").mkdir()
    request = {"packs": [], "settings": {}, "request": {"data": []}}
    Ledger(tmp_path / "again").add_request(request, cells)
    for cell in cells:
        rows = [
            {"step": step, "elbo": -100.0, "kl_top": kinked_kl(cell) * (1 - 200 / step)}
            for step in (500, 1000, 2000, 4000)
        ]
        record = Ledger(tmp_path).record(cell.id)
        assert record is not None
        result = {**(record.result or {}), "kl_top": kinked_kl(cell)}
        Ledger(tmp_path / "again").complete(cell, result, {}, rows)
    said = run("drift", str(tmp_path / "again"))
    assert "at 4,000 steps" in said or "settled" in said
    table = pd.read_csv(tmp_path / "again" / "figures" / "drift.csv")
    assert table["step"].tolist() == [500, 1000, 2000, 4000]
    exponents = pd.read_csv(tmp_path / "again" / "figures" / "drift-exponents.csv")
    used = exponents[exponents["kl_per_unit"] > 0]
    assert used["exponent"].to_numpy() == pytest.approx(np.log2(0.95 / 0.9))


def test_curves_that_coincide_are_all_seen_and_it_says_what_is_grey(make_results: Make, tmp_path: Path) -> None:
    """Hollow markers, steps a little apart, a dotted line to where each curve goes, and the band in the legend."""

    def history(cell: Cell) -> list[dict[str, float]]:
        shift = {step: sigmoid_kl(cell, critical=0.94 - 20 / step) for step in (500, 1000, 2000, 4000)}
        return [{"step": step, "elbo": -100.0, "kl_top": kl} for step, kl in shift.items()]

    data = ("mnist:embedded", "glyphs:embedded")
    make_results(tmp_path, datasets=data, rhos=FINE, seeds=(0, 1, 2), train=TrainSpec(4000), history=history)
    frame = gather([tmp_path]).frame
    table, exponents = drift_tables(frame, histories([tmp_path], frame)[0])
    figure = draw_drift(table, exponents, {curve.key: curve.name for curve in curves(frame)})
    crossings, growth = figure.axes
    drawn = [line for line in crossings.lines if line.get_gid() == "crossing"]
    assert len(drawn) == 2
    assert {line.get_markerfacecolor() for line in (*drawn, *growth.lines) if line.get_marker() != "None"} == {"none"}
    np.testing.assert_array_equal(drawn[0].get_ydata(), drawn[1].get_ydata())
    places = [np.asarray(line.get_xdata()) for line in drawn]
    assert (places[0] < places[1]).all()
    assert (abs(np.log10(places[0] / [500, 1000, 2000, 4000])) < 0.05).all(), "aside, but still at their step"
    for line, curve in zip(drawn, curves(table), strict=True):
        (ahead,) = [other for other in crossings.lines if other.get_gid() == "ahead" and _same(other, line)]
        assert np.asarray(ahead.get_ydata()).tolist() == [
            curve.rows["crossing"].iloc[-1],
            curve.rows["extrapolated"].iloc[-1],
        ]
        assert ahead.get_linestyle() == ":"
    *named, band = [text.get_text() for text in figure.legends[0].get_texts()]
    assert band == SETTLED_WORDS
    assert all(words.endswith("3 seeds") for words in named)


@pytest.mark.parametrize("width", ["column", "page"])
def test_without_a_crossing_there_is_no_panel_of_them(make_results: Make, tmp_path: Path, width: Width) -> None:
    def history(cell: Cell) -> list[dict[str, float]]:
        return [{"step": step, "elbo": -100.0, "kl_top": 9.0} for step in (500, 1000, 2000, 4000)]

    make_results(tmp_path, rhos=FINE, train=TrainSpec(4000), history=history, top_kl=lambda cell: 9.0)
    frame = gather([tmp_path]).frame
    tables = drift_tables(frame, histories([tmp_path], frame)[0])
    figure = draw_drift(*tables, {curve.key: curve.name for curve in curves(frame)}, paper=Paper(width))
    (growth,) = figure.axes
    assert growth.get_ylabel().startswith("growth exponent")
    assert growth.get_position().x1 < 1
    assert len(figure.legends[0].get_texts()) == 2


def _same(one: Line2D, other: Line2D) -> bool:
    return one.get_color() == other.get_color()
