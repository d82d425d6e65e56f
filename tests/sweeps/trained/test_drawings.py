from __future__ import annotations

import numpy as np
import pytest
import torch

from hvae_core.data import DataError, Dataset
from sweeps import load_cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.pack import run_pack
from sweeps.trained.drawings import pictures


@pytest.fixture
def trained(ledger: Ledger, spec: SweepSpec) -> Ledger:
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    run_pack(
        PackOptions(str(ledger.root), references=((spec.data[0].name, spec.data[0].checksum, spec.data[0].reference),)),
        packs[0],
    )
    return ledger


def test_pictures_are_the_models_and_the_same_for_the_same_seed(
    trained: Ledger, spec: SweepSpec, bars: Dataset
) -> None:
    one, other = (cell.id for cell in spec.cells()[:2])
    drawn, again, beside = pictures(trained, one, 6), pictures(trained, one, 6), pictures(trained, other, 6)
    for name in ("samples", "top", "originals", "reconstructions"):
        images = getattr(drawn, name)
        assert images.shape == (6, 4, 4)
        assert images.min() >= 0
        assert images.max() <= 1
        assert np.array_equal(images, getattr(again, name))
    assert np.array_equal(drawn.originals, beside.originals), "all cells show the same test images"
    assert not np.array_equal(drawn.samples, beside.samples)
    tests = {image.tobytes() for image in bars.test.astype(np.float64)}
    assert all(image.ravel().tobytes() in tests for image in drawn.originals)


def test_without_its_request_list_a_directory_names_the_data_it_lacks(trained: Ledger, spec: SweepSpec) -> None:
    """What says where an npz lies is sweep.json, which damage can make a user move away."""
    (trained.root / "sweep.json").unlink()
    with pytest.raises(DataError, match="bars"):
        pictures(trained, spec.cells()[0].id)


def test_a_collapsed_top_layer_draws_one_image(
    trained: Ledger, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With p(z_1 | z_2) cut off from z_2, what differs in the top layer alone is all alike; samples still differ."""
    path = trained.cell_path(spec.cells()[0].id)

    def collapsed(where: object) -> object:
        trained_cell = load_cell(path)
        with torch.no_grad():
            trained_cell.model.priors[0].network.first.weight.zero_()  # type: ignore[union-attr,operator]
        return trained_cell

    alive = pictures(trained, path.name, 5)
    monkeypatch.setattr("sweeps.trained.drawings.load_cell", collapsed)
    dead = pictures(trained, path.name, 5)
    assert np.ptp(alive.top, axis=0).max() > 1e-4
    assert np.ptp(dead.top, axis=0).max() < 1e-6
    assert np.ptp(dead.samples, axis=0).max() > 1e-4
