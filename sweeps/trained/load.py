"""A trained model back in Python: to sample from, to reconstruct with, to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from hvae_core.systems.hvae import HVAE
from hvae_core.training.trainer import DTYPES
from sweeps.grid.cell import Cell
from sweeps.ledger.atomic_files import fingerprint
from sweeps.ledger.ledger import Ledger, LedgerError


@dataclass(frozen=True)
class TrainedCell:
    """A cell and its model, unsmoothed, as a stack of one member on the CPU."""

    cell: Cell
    model: HVAE


def load_cell(path: Path | str) -> TrainedCell:
    """Load `results/cells/<id>`; runs no code from the files.

    Raises LedgerError, in one line, where there is no such cell or no usable weights, and DamagedFileError for a
    configuration that is not what the folder's name says.
    """
    path = Path(path).absolute()
    record = Ledger(path.parent.parent).record(path.name)
    file = path / "weights.safetensors"
    if record is None or not file.is_file() or file.is_symlink():
        raise LedgerError(f"{path}: holds no trained cell (config.json and weights.safetensors)")
    cell = record.cell
    content = file.read_bytes()
    recorded = ((record.result or {}).get("files") or {}).get(file.name)
    if recorded is not None and recorded != fingerprint(content):
        raise LedgerError(
            f"{file}: is not the file that the cell's result was recorded with; "
            "remove result.json beside it to train the cell again"
        )
    try:
        weights = safetensors.torch.load(content)
        pixels = weights["likelihood.network.out.bias"].shape[-1]
        model = HVAE.build(cell.model, torch.zeros(pixels, dtype=DTYPES[cell.train.precision]), [0])
        model.load_state_dict(weights)
    except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
        raise LedgerError(f"{file}: is not the weights of {cell.model.name}: {str(error).splitlines()[0]}") from error
    return TrainedCell(cell, model)
