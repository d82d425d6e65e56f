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
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hvae_core.evaluation.blocks import blocks
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, dtype_of

ACTIVE_BLOCK = 50  # examples, each with
PATHS = 32  # S inner paths, that share one draw of the estimator
ACTIVE_EXAMPLES = 1_000
ACTIVE_THRESHOLD = 0.01


@dataclass(frozen=True)
class PathMeans:
    """What the posterior mean mu of one layer does over S sampled paths of each example, as (M, N, D).

    average: E[mu | x]. within: the variance of mu over the paths of one x. first: mu on the first path.
    """

    average: Tensor
    within: Tensor
    first: Tensor

    @classmethod
    def of(cls, mean: Tensor, examples: int) -> PathMeans:
        """Take them from mu (M, S B, *shape), whose rows are (S, B)."""
        paths = mean.flatten(2).unflatten(1, (PATHS, examples)).double()
        return cls(paths.mean(1), paths.var(1), paths[:, 0].clone())  # a view would keep all paths

    def counts(self) -> tuple[Tensor, Tensor]:
        """Count the units (M,) that vary with x: without the paths' noise, and on the first path."""
        signal = self.average.var(1) - self.within.mean(1) / PATHS
        return (signal > ACTIVE_THRESHOLD).sum(-1), (self.first.var(1) > ACTIVE_THRESHOLD).sum(-1)


def _joined(parts: Sequence[PathMeans]) -> PathMeans:
    return PathMeans(
        torch.cat([part.average for part in parts], 1),
        torch.cat([part.within for part in parts], 1),
        torch.cat([part.first for part in parts], 1),
    )


@torch.no_grad()
def active_units(model: System, images: Tensor, seeds: Sequence[int], purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Count units that carry information about x: images (N, C, H, W) -> au, au_path, each (M, L)."""
    dtype = dtype_of(model)
    layers: list[list[PathMeans]] = [[] for _ in model.latents]
    for block, x in blocks(images, ACTIVE_BLOCK, dtype):
        B = x.shape[1]
        streams = SeedStreams(seeds, purpose, "active", block, device=images.device)
        flat = streams.normal(model.noise_size(B * PATHS), dtype=dtype)
        noise = [_paths_first(e, B) for e in model.split_noise(flat, B * PATHS).posterior]
        for parts, q in zip(layers, model.infer(x, noise)[0], strict=True):
            parts.append(PathMeans.of(q.mean, B))
    counts = [_joined(parts).counts() for parts in layers]
    au, au_path = (torch.stack(columns, 1).cpu().numpy() for columns in zip(*counts, strict=True))
    return au, au_path


def _paths_first(noise: Tensor, examples: int) -> Tensor:
    """Bring the rows of a draw, (B, S), into the order of `System.infer`, (S, B)."""
    by_example: Tensor = noise.unflatten(1, (examples, PATHS))
    return by_example.transpose(1, 2).flatten(1, 2)
