"""Active units: which units of a layer carry information about x.

    au_i       units with Var_x( E[mu_i | x] ) > 0.01, the inner mean over S = 32 sampled paths and the within-x
               variance / S subtracted
    au_path_i  the same variance from one sampled path: above layer 1 it counts noise passed up as activity

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016 (active units, from one path).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hvae_core.evaluation.blocks import blocks, latents
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import Noise
from hvae_core.systems.hvae import HVAE

ACTIVE_BLOCK = 50  # examples, each with
PATHS = 32  # S inner paths, that share one draw of the estimator
ACTIVE_EXAMPLES = 1_000
ACTIVE_THRESHOLD = 0.01


@torch.no_grad()
def active_units(model: HVAE, images: Tensor, seeds: Sequence[int], purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Count units that carry information about x: images (N, P) -> au, au_path, each (M, L)."""
    dtype = next(model.parameters()).dtype
    widths = latents(model, images, dtype)
    averages: list[list[Tensor]] = [[] for _ in widths]  # per layer: E[mu | x] over paths, blocks of (M, B, D)
    within: list[list[Tensor]] = [[] for _ in widths]  # variance of mu over the paths of one x
    paths: list[list[Tensor]] = [[] for _ in widths]  # mu on the first path
    for block, x in blocks(images, ACTIVE_BLOCK, dtype):
        B = x.shape[1]
        streams = SeedStreams(seeds, purpose, "active", block, device=images.device)
        noise = Noise.split(streams.normal(Noise.size(widths, B * PATHS), dtype=dtype), widths, B * PATHS)
        q = model.posteriors[0](x)  # has no path above it: one value per x
        z = q.mean.repeat_interleave(PATHS, 1) + q.std.repeat_interleave(PATHS, 1) * noise.posterior[0]
        averages[0].append(q.mean.double())
        within[0].append(torch.zeros_like(q.mean, dtype=torch.float64))
        paths[0].append(q.mean.double())
        for layer in range(1, len(widths)):
            q = model.posteriors[layer](z)
            mu = q.mean.unflatten(1, (B, PATHS)).double()
            averages[layer].append(mu.mean(2))
            within[layer].append(mu.var(2))
            paths[layer].append(mu[:, :, 0].clone())  # a view would keep all of mu
            z = q.sample(noise.posterior[layer])
    active, active_path = [], []
    for average, inner, path in zip(averages, within, paths, strict=True):
        signal = torch.cat(average, 1).var(1) - torch.cat(inner, 1).mean(1) / PATHS
        active.append((signal > ACTIVE_THRESHOLD).sum(-1))
        active_path.append((torch.cat(path, 1).var(1) > ACTIVE_THRESHOLD).sum(-1))
    return torch.stack(active, 1).cpu().numpy(), torch.stack(active_path, 1).cpu().numpy()
