"""Small cells and finished results to put into ledgers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hvae_core.data import Dataset
from hvae_core.families.registry import parse_model
from hvae_core.spec import ObjectiveSpec, TrainSpec
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import DataSource, SweepSpec, rho_axis
from sweeps.ledger.ledger import Ledger


@pytest.fixture
def spec(bars: Dataset) -> SweepSpec:
    """Two rho values and two seeds of a tiny model on 4x4 bars."""
    train = TrainSpec(steps=12, batch_size=8, lr=5e-3)
    source = DataSource.of("bars", bars)
    objectives = rho_axis(ObjectiveSpec(ou_samples=2), (0.5, 1.0))
    return SweepSpec((parse_model("mlp2x3h6"),), (source,), objectives, (0, 1), (train,))


@pytest.fixture
def cell(spec: SweepSpec) -> Cell:
    return spec.cells()[0]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    root = tmp_path / "results"
    root.mkdir()
    return Ledger(root)


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    """A result such as a finished cell of depth 2 has."""

    def make(**changes: Any) -> dict[str, Any]:
        layers = {f"{name}_{i}": value for name, value in (("kl", 1.5), ("au", 3), ("au_path", 3)) for i in (1, 2)}
        whole = {"elbo": -9.0, "recon": -6.0, "kl_total": 3.0, "kl_top": 1.5, "au_top": 3, **layers}
        return {**whole, "seconds": 1.0, "pack_size": 2, "device": "cpu", "ll_examples": 0, **changes}

    return make


@pytest.fixture
def other(cell: Cell) -> Cell:
    """A cell that differs in its training length."""
    return replace(cell, train=replace(cell.train, steps=13))
