"""Importance-weighted bounds.

    L_k = E log (1/k) sum_j p(x, z_j) / q(z_j | x),        non-decreasing in k, L_1 = ELBO

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hvae_core.evaluation.blocks import blocks
from hvae_core.precision import products
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, dtype_of

BOUND_BLOCK = 5  # examples, and
SAMPLE_BLOCK = 100  # importance samples, that share one draw


@dataclass(frozen=True)
class Bound:
    """L_k of each member (M,), its standard error over examples, and the mean effective sample size in [1, k]."""

    value: np.ndarray
    standard_error: np.ndarray
    effective_samples: np.ndarray


@torch.no_grad()
@products()
def importance_bound(
    model: System, images: Tensor, samples: int, seeds: Sequence[int], purpose: str = "bound"
) -> Bound:
    """L_k with k = samples on images (N, C, H, W), by a log-sum-exp that runs over chunks of samples."""
    dtype = dtype_of(model)
    bounds, sizes = [], []
    for block, x in blocks(images, BOUND_BLOCK, dtype):
        B = x.shape[1]
        total = square = torch.tensor(-math.inf, dtype=torch.float64, device=images.device)
        for chunk, start in enumerate(range(0, samples, SAMPLE_BLOCK)):
            k = min(SAMPLE_BLOCK, samples - start)
            streams = SeedStreams(seeds, purpose, block, chunk, device=images.device)
            noise = model.split_noise(streams.normal(model.noise_size(k * B), dtype=dtype), k * B)
            log_weight = model(x, noise).log_weight.double().unflatten(1, (k, B))
            total = torch.logaddexp(total, log_weight.logsumexp(1))
            square = torch.logaddexp(square, (2 * log_weight).logsumexp(1))
        bounds.append(total - math.log(samples))
        sizes.append((2 * total - square).exp())  # (sum w)^2 / sum w^2
    per_example, ess = torch.cat(bounds, 1), torch.cat(sizes, 1)
    N = per_example.shape[1]
    error = per_example.std(1) / math.sqrt(N) if N > 1 else torch.full_like(per_example[:, 0], math.nan)
    return Bound(per_example.mean(1).cpu().numpy(), error.cpu().numpy(), ess.mean(1).cpu().numpy())
