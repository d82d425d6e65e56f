"""The spectrum figure, from trained cells to files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.figures.spectrum import FLOOR, draw_spectrum
from analysis.reports import spectrum
from analysis.requests.plot_request import PlotRequest
from hvae_core.data import Dataset
from hvae_core.evaluation.spectrum import DEGREES
from hvae_core.families.registry import parse_model
from hvae_core.spec import ObjectiveSpec, TrainSpec
from sweeps.grid.sweep_spec import DataSource, SweepSpec, rho_axis
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.pack import run_pack


@pytest.fixture
def trained(bars: Dataset, tmp_path: Path) -> Ledger:
    """Models of three layers at three rho, trained for a few steps."""
    objectives = rho_axis(ObjectiveSpec(ou_samples=2), (0.5, 0.9, 1.0))
    source, train = DataSource.of("bars", bars), TrainSpec(steps=12, batch_size=8)
    spec, ledger = SweepSpec((parse_model("mlp3x3h6"),), (source,), objectives, (0,), (train,)), Ledger(tmp_path / "a")
    ledger.root.mkdir()
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    for pack in packs:
        run_pack(PackOptions(str(ledger.root), references=((source.name, source.checksum, source.reference),)), pack)
    return ledger


def test_from_trained_cells_to_figure_and_csv(trained: Ledger) -> None:
    report = spectrum.report(PlotRequest([trained.root]))
    assert [path.name for path in report.files] == ["spectrum.png", "spectrum.pdf", "spectrum.csv"]
    table = pd.read_csv(report.files[2])
    assert set(table["part"]) == {"mu", "sigma"}
    assert set(table["degree"]) == set(range(1, DEGREES + 1))
    sums = table.groupby(["cell_id", "layer", "part"])["fraction"].sum()
    assert sums.to_numpy() == pytest.approx(1)
    assert any("condition number" in note for note in report.notes)
    assert "linear" in report.text


def test_chosen_cells_have_a_line_each_in_every_panel(trained: Ledger) -> None:
    ids = [record.cell.id for record in trained.records()][:2]
    report = spectrum.report(PlotRequest([trained.root], formats=()), cells=ids)
    assert set(report.table["cell_id"]) == set(ids)
    figure = draw_spectrum(report.table, ["one", "other\nline"])
    assert len(figure.axes) == 2 * report.table["layer"].nunique()
    for ax in figure.axes:
        assert len([line for line in ax.get_lines() if line.get_gid() == "fraction"]) == 2
        assert ax.get_ylim()[0] == FLOOR
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= 0
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box is not None
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert not box.overlaps(legend)


def test_without_weights_it_says_so(trained: Ledger, tmp_path: Path) -> None:
    for path in trained.root.glob("cells/*/weights.safetensors"):
        path.unlink()
    with pytest.raises(LedgerError, match="holds no trained cell"):
        spectrum.report(PlotRequest([trained.root], out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
