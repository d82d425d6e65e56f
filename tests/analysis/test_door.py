"""The Python door: frames of results directories, and figures on axes of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import analysis
import cli
from analysis.frames.gather import GatherError
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger

Make = Callable[..., list[Cell]]


@pytest.fixture
def results(make_results: Make, kinked_kl: Callable[[Cell], float], tmp_path: Path) -> Path:
    def top_kl(cell: Cell) -> float:  # other data have other curves
        return kinked_kl(cell) * (1.0 if cell.dataset == "mnist" else 0.7)

    data = ("mnist:embedded", "glyphs:embedded")
    make_results(tmp_path / "r", datasets=data, seeds=(0, 1, 2), top_kl=top_kl)
    return tmp_path / "r"


def test_read_is_the_table_of_results(results: Path) -> None:
    frame = analysis.read(results)
    assert len(frame) == 2 * 3 * 11
    assert frame.attrs["notes"] == []
    by_id = frame.set_index("cell_id")
    for record in Ledger(results).records():
        assert record.result is not None
        row = by_id.loc[record.cell.id]
        assert (row["rho"], row["kl_top"]) == (record.cell.member.objective.rho, record.result["kl_top"])
    with pytest.raises(GatherError, match="no such directory"):
        analysis.read(results / "nowhere")


@pytest.mark.parametrize(("panel", "column"), [("kl", "kl_top"), ("active", "au_top"), ("elbo", "elbo")])
def test_a_transition_has_the_medians(results: Path, panel: str, column: str) -> None:
    frame = analysis.read(results)
    ax = analysis.transition(frame, panel)
    lines = [line for line in ax.lines if line.get_gid() == "median"]
    assert len(lines) == 2
    for name, line in zip(("glyphs", "mnist"), sorted(lines, key=lambda each: str(each.get_label())), strict=True):
        assert str(line.get_label()).startswith(name)
        median = frame[frame["dataset"] == name].groupby("rho")[column].median()
        x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
        np.testing.assert_allclose(x, median.index)
        np.testing.assert_allclose(y, median.astype(float))
        assert (r"$\rho_c$" in str(line.get_label())) == (panel == "kl")


def test_critical_bands_that_coincide_stand_at_different_heights(
    make_results: Make, kinked_kl: Callable[[Cell], float], tmp_path: Path
) -> None:
    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), top_kl=kinked_kl)
    ax = analysis.transition(analysis.read(tmp_path))
    tops = [band.get_paths()[0].get_extents().y1 for band in ax.collections if band.get_gid() == "bracket"]
    assert len(tops) == 2
    assert tops[0] > 1.05 * tops[1]


def test_it_draws_on_the_axes_given_and_on_no_others(results: Path) -> None:
    frame = analysis.read(results)
    figure = Figure()
    first, second = figure.subplots(1, 2)
    assert analysis.transition(frame, "elbo", ax=second) is second
    assert not first.lines
    assert second.lines


def test_what_cannot_be_drawn_is_said(results: Path) -> None:
    frame = analysis.read(results)
    with pytest.raises(ValueError, match="panel: 'kk' is not allowed; it must be kl, active"):
        analysis.transition(frame, "kk")
    with pytest.raises(ValueError, match="no complete cell has info_top"):
        analysis.transition(frame, "information")
    with pytest.raises(ValueError, match="no depth-width grid"):
        analysis.collapse(frame)
    with pytest.raises(ValueError, match="no cell has a history"):
        analysis.training(frame, {})
    with pytest.raises(AttributeError, match="has no attribute 'transitions'"):
        _ = analysis.transitions


def test_a_collapse_map_has_the_active_units(make_results: Make, tmp_path: Path) -> None:
    models = [f"mlp{depth}x{width}h8" for depth in (1, 2) for width in (4, 8)]
    make_results(tmp_path, models=models, rhos=(0.8, 1.0))
    frame = analysis.read(tmp_path)
    ax = analysis.collapse(frame, 0.8)
    at = {(t.get_position()[0], t.get_position()[1]): float(t.get_text()) for t in ax.texts}
    rows = frame[frame["rho"] == 0.8].set_index("model")["au_top"].to_dict()
    for i, depth in enumerate((1, 2)):
        for j, width in enumerate((4, 8)):
            assert at[i, j] == rows[f"mlp{depth}x{width}h8"]


def test_training_draws_every_history(results: Path) -> None:
    frame = analysis.read(results)
    table = pd.DataFrame({"step": [1, 2, 3], "elbo": [-9.0, -8.0, -7.5], "kl_top": [1.0, 2.0, 3.0]})
    histories = dict.fromkeys(frame["cell_id"].iloc[:4], table)
    ax = analysis.training(frame, histories, "elbo")
    assert len(ax.lines) == 4
    assert all(list(line.get_ydata()) == [-9.0, -8.0, -7.5] for line in ax.lines)
    assert analysis.read_histories(results) == {}


FINE = (0.0, 0.5, *np.round(np.arange(0.8, 1.005, 0.02), 3).tolist())


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_drift_draws_crossings_over_steps_and_exponents_over_rho(
    make_results: Make, kinked_kl: Callable[[Cell], float], tmp_path: Path
) -> None:
    """KL (1 - 200 / T): from 2,000 to 4,000 steps every KL grows by 0.95 / 0.9."""

    def history(cell: Cell) -> list[dict[str, float]]:
        steps = (500, 1000, 2000, 4000)
        return [{"step": s, "elbo": -100.0, "kl_top": kinked_kl(cell) * (1 - 200 / s)} for s in steps]

    train = TrainSpec(4000)
    make_results(tmp_path, rhos=FINE, seeds=(0, 1, 2), train=train, top_kl=kinked_kl, history=history)
    frame, histories = analysis.read(tmp_path), analysis.read_histories(tmp_path)
    ax = analysis.drift(frame, histories)
    (line,) = [line for line in ax.lines if line.get_gid() == "crossing"]
    assert list(np.asarray(line.get_xdata())) == [500, 1000, 2000, 4000]
    assert labels(ax) == ["mnist:embedded"]
    exponents = np.asarray(analysis.drift(frame, histories, "exponent").lines[0].get_ydata(), dtype=float)
    np.testing.assert_allclose(exponents, np.log2(0.95 / 0.9), rtol=1e-6)
    with pytest.raises(ValueError, match="panel: 'kl' is not allowed; it must be crossing, exponent"):
        analysis.drift(frame, histories, "kl")
    with pytest.raises(ValueError, match="no cell has a history that reaches back"):
        analysis.drift(frame, {})


def test_scaling_divides_by_units(make_results: Make, kinked_kl: Callable[[Cell], float], tmp_path: Path) -> None:
    make_results(tmp_path, models=("mlp2x4h8", "mlp2x8h8"), rhos=FINE, seeds=(0, 1, 2), top_kl=kinked_kl)
    frame = analysis.read(tmp_path)
    ax = analysis.scaling(frame)
    (line,) = [line for line in ax.lines if line.get_gid() == "kl_per_unit"]
    one, other = np.asarray(line.get_ydata(), dtype=float)
    assert list(np.asarray(line.get_xdata())) == [4, 8]
    assert one == pytest.approx(2 * other)
    assert labels(ax) == ["mnist:embedded, K = 5, 3,000 steps"]
    with pytest.raises(ValueError, match="panel: 'kl' is not allowed; it must be kl_per_unit"):
        analysis.scaling(frame, "kl")


def test_information_is_the_top_layer_unless_another_is_named(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, seeds=(0, 1), top_kl=lambda cell: 3.0)
    frame = analysis.read(tmp_path)
    with pytest.raises(ValueError, match="hvae-sweep evaluate RESULTS --what information"):
        analysis.information(frame)
    numbers = {"info_1": 2.0, "info_1_high": 3.0, "info_2": 1.0, "info_2_high": 2.0, "info_top": 1.0}
    frame = frame.assign(**numbers, info_examples=500, info_paths=8)
    for layer, kl in ((None, 3.0), (2, 3.0), (1, 9.0)):
        ax = analysis.information(frame, layer)
        (line,) = [line for line in ax.lines if line.get_gid() == "kl"]
        assert set(np.asarray(line.get_ydata(), dtype=float)) == {kl}
    assert len(labels(ax)) == 4
    with pytest.raises(ValueError, match="layer: 3 is not allowed; it must be from 1 to 2"):
        analysis.information(frame, 3)


def test_calibration_sets_measured_against_exact(tmp_path: Path) -> None:
    """Coins are solved: what is drawn at an exact top KL is the measured one."""
    from sweeps.options.calibration import coins

    out = tmp_path / "results"
    spec = ["rho", "--model", "linear0.6", "--datasets", str(coins(tmp_path)), "--rho", "0.6", "0.8", "1"]
    words = [*spec, "--steps", "60", "--ll-examples", "0", "--out", str(out), "--plan-only"]
    for arguments in (words, ["work", str(out)]):
        assert CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False).exit_code == 0
    frame = analysis.read(out)
    ax = analysis.calibration(frame, "kl")
    (points,) = [line for line in ax.lines if line.get_gid() == "kl"]
    assert sorted(np.asarray(points.get_ydata(), dtype=float)) == sorted(frame["kl_top"])
    assert labels(ax) == ["one mode, λ/s² = 0.6"]
    assert analysis.calibration(frame).get_xlabel() == "exact ρ of onset"
    with pytest.raises(ValueError, match="panel: 'rho' is not allowed"):
        analysis.calibration(frame, "rho")
    with pytest.raises(ValueError, match="no linear model"):
        analysis.calibration(frame.assign(family="mlp"))


def test_importing_it_loads_neither_pandas_nor_matplotlib() -> None:
    code = "import sys, analysis; sys.exit(bool({'pandas', 'matplotlib', 'torch'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
