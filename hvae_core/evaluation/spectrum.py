"""How nonlinear the generator is where it is used: energy by Hermite degree of mu and sigma of p(z_i | z_{i+1}).

Around the posterior of one image, z = m + s u with u ~ N(0, I), a function f has an expansion in Hermite polynomials of
u; W_n is the squared norm of its part of degree n, so that sum_{n >= 1} W_n is the variance of f(z). Two copies of z
whose noise has correlation rho show it without any polynomial (noise stability),

    E[ f(z) . f(z') ] = sum_n rho^n W_n,       rho in [-1, 1]

This is what Ornstein-Uhlenbeck smoothing acts on: it keeps c_n(rho, K) = rho^2n (1 - 1/K) + 1/K of degree n. W is
fitted to the stabilities at Chebyshev points of [-1, 1] by non-negative least squares; negative rho tell odd degrees
from even ones, which keeps the fit well conditioned. The highest degree stands for itself and all above it.

References
----------
O'Donnell, Analysis of Boolean Functions, 2014, chapter 11 (noise stability in Gaussian space).
Pervez and Gavves, Variance Reduction in Hierarchical Variational Autoencoders, 2020 (the Hermite view of smoothing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hvae_core.evaluation.blocks import blocks
from hvae_core.networks.normal import Normal
from hvae_core.precision import products
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, dtype_of, rows
from hvae_core.systems.smoothing import correlated

DEGREES = 7  # the highest that is told apart
NODES = np.cos(np.pi * (2 * np.arange(2 * DEGREES) + 1) / (4 * DEGREES))
EXAMPLE_BLOCK = 50
PAIRS = 16  # of each image, at every node; the second half has the first one's z and the opposite noise for z'


@torch.no_grad()
@products()
def stabilities(model: System, images: Tensor, seeds: Sequence[int], purpose: str = "spectrum") -> NDArray[np.float64]:
    """E[f(z) . f(z')] of mu and of sigma, f less an estimate of its mean over z: (M, L - 1, 2, NODES), layer 1 first.

    A mean over images (N, C, H, W) and over paths up to z_{i+1}; of layer i, f is p(z_i | z_{i+1})'s.
    """
    dtype, layers = dtype_of(model), range(len(model.priors))
    members = next(model.parameters()).shape[0]
    total = torch.zeros(members, len(layers), 2, len(NODES), dtype=torch.float64, device=images.device)
    for block, x in blocks(images, EXAMPLE_BLOCK, dtype):
        B = x.shape[1]
        streams = SeedStreams(seeds, purpose, block, device=images.device)
        flat = streams.normal(model.noise_size(B), dtype=dtype)
        qs, zs = model.infer(x, model.split_noise(flat, B).posterior)
        priors, _ = model.way_down(zs)
        for i in layers:
            total[:, i] += B * _stability(priors[i], qs[i + 1], streams, members)
    found: NDArray[np.float64] = (total / len(images)).cpu().numpy()
    return found


def _stability(conditional: Callable[[Tensor], Normal], q: Normal, streams: SeedStreams, members: int) -> Tensor:
    """Return (M, 2, NODES) for one conditional around q, whose rows are one path of each example."""
    B, shape, dtype = q.mean.shape[1], q.mean.shape[2:], q.mean.dtype
    half = [streams.normal(PAIRS // 2 * B, *shape, dtype=dtype) for _ in range(3)]
    first = torch.cat([half[0], half[0]], 1)
    second, third = (torch.cat([e, -e], 1) for e in half[1:])  # so that what is linear in them cancels exactly
    around = Normal(rows(q.mean, PAIRS * B), rows(q.std.expand_as(q.mean), PAIRS * B))
    z = around.sample(first)
    values = [conditional(around.sample(third)), conditional(z)]
    for node in NODES:
        rho = torch.full((members,), float(node), dtype=dtype, device=z.device)
        values.append(conditional(correlated(z, around, rho, second.unsqueeze(1))[:, 0]))
    found = []
    for part in ("mean", "std"):
        f = torch.stack([_by_pair(getattr(value, part).expand(members, -1, *value.mean.shape[2:])) for value in values])
        # Less a mean from draws of their own: its error is the same at every rho, and falls to degree 0.
        copies = f[1:] - f[0].mean(1, keepdim=True)
        found.append((copies[:1] * copies[1:]).sum(-1).mean((2, 3)).T)
    return torch.stack(found, 1)


def _by_pair(values: Tensor) -> Tensor:
    """Bring rows (M, PAIRS B, *shape) into (M, PAIRS, B, D), in float64."""
    by_pair: Tensor = values.flatten(2).unflatten(1, (PAIRS, -1))
    return by_pair.double()


def design() -> NDArray[np.float64]:
    """Powers of the nodes (NODES, 1 + DEGREES)."""
    return np.vander(NODES, DEGREES + 1, increasing=True)
