"""Sweeps over grids of small HVAEs: grid -> cells -> ledger -> packs -> Ray Tune trials -> one record per cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.trained.load import TrainedCell


def load_cell(path: Path | str) -> TrainedCell:
    """Load a trained model back from `results/cells/<id>`; see `sweeps.trained.load.load_cell`."""
    from sweeps.trained.load import load_cell as load  # torch is loaded only when a model is

    return load(path)


def run(command: str = "rho", *, out: Path | str = "results", quiet: bool = False, **settings: Any) -> Path:
    """Start or resume a sweep as `hvae-sweep COMMAND` does; see `sweeps.run_command.run`."""
    from sweeps.run_command import run as start

    return start(command, out=out, quiet=quiet, **settings)
