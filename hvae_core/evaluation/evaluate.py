"""Measure the *unsmoothed* model: ELBO, KL of each layer, active units, importance-weighted bounds.

Nothing here knows about rho. Noise comes from streams of its own, keyed by (seed, purpose, block) over fixed blocks
of examples and samples, so that neither cadence nor a resume changes a number, and all members of a seed share it.

    au_i       units with Var_x( E[mu_i | x] ) > 0.01, the inner mean over S = 32 sampled paths and the within-x
               variance / S subtracted
    au_path_i  the same variance from one sampled path: above layer 1 it counts noise passed up as activity
    share_i    part of the variance of mu_i that the image explains, the rest being noise of the layers below
    L_k        E log (1/k) sum_j p(x, z_j) / q(z_j | x), non-decreasing in k, L_1 = ELBO

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016 (active units and L_k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hvae_core.evaluation.active_units import ACTIVE_EXAMPLES, Activity, active_units
from hvae_core.evaluation.blocks import blocks, choose_examples
from hvae_core.image import ImageSpec
from hvae_core.precision import products
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, dtype_of

BLOCK = 500  # examples that share one draw of a pass


@dataclass(frozen=True)
class Metrics(Activity):
    """Unsmoothed metrics of each member, numpy float64 in nats per example; layers bottom to top.

    elbo, recon (M,); kl (M, L), its last column the top KL; beside them the counts and shares of `Activity`. image
    says whether the ELBO is given in bits per dimension too, as it is where pixels have 256 levels.
    """

    elbo: np.ndarray
    recon: np.ndarray
    kl: np.ndarray
    image: ImageSpec

    def row(self, member: int) -> dict[str, float | int]:
        """One member's metrics under the column names of a history or a record."""
        layers = range(1, self.kl.shape[1] + 1)
        return {
            "elbo": float(self.elbo[member]),
            "recon": float(self.recon[member]),
            "kl_total": float(self.kl[member].sum()),
            "kl_top": float(self.kl[member, -1]),
            **{f"kl_{i}": float(self.kl[member, i - 1]) for i in layers},
            "au_top": int(self.au[member, -1]),
            **{f"au_{i}": int(self.au[member, i - 1]) for i in layers},
            **{f"au_path_{i}": int(self.au_path[member, i - 1]) for i in layers},
            **self.shares(member),
            **({"bits_per_dim": self.image.bits_per_dim(float(self.elbo[member]))} if self.image.levels > 2 else {}),
        }


@torch.no_grad()
@products()
def evaluate(model: System, images: Tensor, seeds: Sequence[int], purpose: str) -> Metrics:
    """Evaluate every member on images (N, C, H, W), with one pass per example.

    Active units use 1,000 of the images, or all if fewer. The purpose ("valid", "test") keys the noise.
    """
    dtype = dtype_of(model)
    recon, kls = [], []
    for block, x in blocks(images, BLOCK, dtype):
        streams = SeedStreams(seeds, purpose, "pass", block, device=images.device)
        flat = streams.normal(model.noise_size(x.shape[1]), dtype=dtype)
        terms = model(x, model.split_noise(flat, x.shape[1]))
        recon.append(terms.recon.double().sum(1))
        kls.append(terms.kl.double().sum(2))
    N = len(images)
    mean_recon, mean_kl = torch.stack(recon).sum(0) / N, torch.stack(kls).sum(0) / N
    chosen = torch.from_numpy(choose_examples(N, ACTIVE_EXAMPLES)).to(images.device)
    activity = active_units(model, images[chosen], seeds, purpose)
    return Metrics(
        **vars(activity),
        elbo=(mean_recon - mean_kl.sum(0)).cpu().numpy(),
        recon=mean_recon.cpu().numpy(),
        kl=mean_kl.T.cpu().numpy(),
        image=model.image,
    )
