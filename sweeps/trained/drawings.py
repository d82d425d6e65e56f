"""What a trained cell draws: samples, samples that differ in the top layer alone, reconstructions of test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sweeps.ledger.ledger import Ledger
from sweeps.planning.pack_options import PackOptions, load_data, options_by_data
from sweeps.trained.load import load_cell


@dataclass(frozen=True)
class Pictures:
    """Images of one cell, (N, H, W) or in colour (N, H, W, 3): pixel means in [0, 1], and the originals.

    samples: from the prior. top: one draw of every lower layer's noise, N draws of z_L: where the top layer has
    collapsed they are all alike. reconstructions: E[x | z_1] for z_1 drawn given each original.
    """

    samples: np.ndarray
    top: np.ndarray
    originals: np.ndarray
    reconstructions: np.ndarray


def pictures(ledger: Ledger, cell_id: str, count: int = 10, seed: int = 0) -> Pictures:
    """Draw the pictures of a complete cell; the same seed gives every cell the same noise and originals.

    Raises LedgerError where the cell has no usable weights, DataError where its data are not at hand.
    """
    trained = load_cell(ledger.cell_path(cell_id))
    model = trained.model
    options = options_by_data(ledger).get((trained.cell.dataset, trained.cell.checksum), PackOptions(str(ledger.root)))
    data = load_data(options, trained.cell)
    generator = torch.Generator().manual_seed(seed)
    dtype = next(model.parameters()).dtype
    noise = [torch.randn(1, count, *shape, generator=generator, dtype=dtype) for shape in model.latents]
    shared = [layer[:, :1].expand_as(layer) for layer in noise[:-1]]
    chosen = torch.randperm(len(data.test), generator=generator)[:count]
    originals = torch.from_numpy(data.test)[chosen]

    def images(pixels: torch.Tensor) -> np.ndarray:
        shares = pixels.reshape(-1, *data.image.shape).to(torch.float64).numpy() / (data.image.levels - 1)
        return shares[:, 0] if data.image.shape[0] == 1 else np.moveaxis(shares, 1, -1)

    return Pictures(
        images(model.generate(noise)),
        images(model.generate([*shared, noise[-1]])),
        images(originals),
        images(model.reconstruct(originals.to(dtype).unsqueeze(0), [layer[:, : len(chosen)] for layer in noise])),
    )
