"""A trained model back in Python: to sample from, to reconstruct with, to evaluate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.image import ImageSpec
from hvae_core.systems.base import System
from hvae_core.systems.build import build
from hvae_core.training.trainer import DTYPES
from sweeps.grid.cell import Cell
from sweeps.ledger.atomic_files import fingerprint
from sweeps.ledger.ledger import Ledger, LedgerError


@dataclass(frozen=True)
class TrainedCell:
    """A cell and its model, unsmoothed, as a stack of one member on the CPU."""

    cell: Cell
    model: System


def load_cell(path: Path | str) -> TrainedCell:
    """Load `results/cells/<id>`; runs no code from the files.

    Raises LedgerError, in one line, where there is no such cell or no usable weights, DamagedFileError for a
    configuration that is not what the folder's name says, and SpecError where the model is of a family of the user's
    own whose code is not here or is another.
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
        objective, dtype = cell.member.objective, DTYPES[cell.train.precision]
        how = (cell.train.mixture, objective.system, objective.pseudo_inputs)
        model = build(cell.model, _image(content, weights), [0], dtype, None, None, *how)
        model.load_state_dict(weights)
    except SpecError:
        raise  # a family of the user's own, which is not here
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise LedgerError(f"{file}: is not the weights of {cell.model.name}: {str(error).splitlines()[0]}") from error
    return TrainedCell(cell, model)


def _image(content: bytes, weights: Mapping[str, Tensor]) -> ImageSpec:
    """Read the image's shape and levels from a weights file; the first ones said only how many pixels it has."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = header.get("__metadata__") or {}
    if "image" not in facts:
        return ImageSpec((1, 1, weights["likelihood.network.out.bias"].shape[-1]))
    return ImageSpec.read(facts["image"])
