"""Sweeps over grids of small HVAEs: grid -> cells -> ledger -> packs -> Ray Tune trials -> one record per cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.trained.load import TrainedCell


def load_cell(path: Path | str) -> TrainedCell:
    """Load a trained model back from `results/cells/<id>`; see `sweeps.trained.load.load_cell`."""
    from sweeps.trained.load import load_cell as load  # torch is loaded only when a model is

    return load(path)
