"""The Hermite spectrum of a trained cell's generator, around the posteriors of its test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

from hvae_core.evaluation.blocks import choose_examples
from hvae_core.evaluation.spectrum import design, stabilities
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.planning.pack_options import PackOptions, load_data, options_by_data
from sweeps.trained.load import load_cell


@dataclass(frozen=True)
class Spectrum:
    """Energies W_n of degrees 1.. (L - 1, 2, DEGREES) of mu and sigma of p(z_i | z_{i+1}), layer 1 first.

    misfit (L - 1, 2): what the fit leaves, as a part of the stabilities' norm; condition: of the fit's matrix.
    """

    energy: NDArray[np.float64]
    misfit: NDArray[np.float64]
    condition: float


def spectrum(ledger: Ledger, cell_id: str, examples: int = 500) -> Spectrum:
    """Measure a complete cell on a seeded choice of test images.

    Raises LedgerError where the cell has no usable weights or one layer alone, DataError where its data are missing.
    """
    trained = load_cell(ledger.cell_path(cell_id))
    cell, model = trained.cell, trained.model
    if cell.model.depth < 2:
        raise LedgerError(
            f"cell {cell_id}: {cell.model.name} has one stochastic layer, and no p(z_i | z_i+1) to look at"
        )
    options = options_by_data(ledger).get((cell.dataset, cell.checksum), PackOptions(str(ledger.root)))
    test = load_data(options, cell).test
    found = stabilities(model, torch.from_numpy(test[choose_examples(len(test), examples)]), [cell.member.seed])[0]
    matrix = design()
    fits = [[nnls(matrix, values) for values in layer] for layer in found]
    energy = np.array([[weights[1:] for weights, _ in layer] for layer in fits])
    norms = np.linalg.norm(found, axis=-1)
    left = np.array([[residual for _, residual in layer] for layer in fits])
    misfit = np.divide(left, norms, out=np.zeros_like(left), where=norms > 0)
    return Spectrum(energy, misfit, float(np.linalg.cond(matrix)))
