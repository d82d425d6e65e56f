"""Active units and share: how much of what a layer's posterior mean mu does is about x.

    au_i       units with Var_x( E[mu_i | x] ) > 0.01, the inner mean over S = 32 sampled paths and the within-x
               variance / S subtracted
    au_path_i  the same variance from one sampled path: above layer 1 it counts noise passed up as activity
    share_i    sum_d Var_x( E[mu_d | x] ) / sum_d Var( mu_d ), by the same moments: the part of layer i's variation that
               the image explains; the rest is sampling noise of the layers it is inferred from

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
from hvae_core.precision import products
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, dtype_of

ACTIVE_BLOCK = 50  # examples, each with
PATHS = 32  # S inner paths, that share one draw of the estimator
ACTIVE_EXAMPLES = 1_000
ACTIVE_THRESHOLD = 0.01
ROUNDING = 1e-9  # of a layer's variance: what differs between paths by less is the same number, rounded


@dataclass(frozen=True)
class Activity:
    """Of each member and layer, numpy (M, L): counts of active units au and au_path; share in [0, 1]."""

    au: np.ndarray
    au_path: np.ndarray
    share: np.ndarray

    def shares(self, member: int) -> dict[str, float]:
        """One member's shares under the column names of a history or a record, layers bottom to top."""
        row = self.share[member]
        return {"share_top": float(row[-1]), **{f"share_{i}": float(value) for i, value in enumerate(row, 1)}}


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

    def activity(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return au, au_path and share (M,).

        Units count that vary with x: without the paths' noise, and on the first path. A layer that is inferred from x
        alone has share 1; one whose mean never varies has 0, and so has one whose estimated signal is negative.
        """
        within = self.within.mean(1)
        signal = self.average.var(1) - within / PATHS
        explained, noise = signal.sum(-1).clamp(min=0), within.sum(-1)
        total = explained + noise
        share = torch.where(noise > ROUNDING * total, explained / total, (explained > 0).double())
        return (signal > ACTIVE_THRESHOLD).sum(-1), (self.first.var(1) > ACTIVE_THRESHOLD).sum(-1), share


def _joined(parts: Sequence[PathMeans]) -> PathMeans:
    return PathMeans(
        torch.cat([part.average for part in parts], 1),
        torch.cat([part.within for part in parts], 1),
        torch.cat([part.first for part in parts], 1),
    )


@torch.no_grad()
@products()
def active_units(model: System, images: Tensor, seeds: Sequence[int], purpose: str) -> Activity:
    """Measure which units carry information about x, on images (N, C, H, W)."""
    dtype = dtype_of(model)
    layers: list[list[PathMeans]] = [[] for _ in model.latents]
    for block, x in blocks(images, ACTIVE_BLOCK, dtype):
        B = x.shape[1]
        streams = SeedStreams(seeds, purpose, "active", block, device=images.device)
        flat = streams.normal(model.noise_size(B * PATHS), dtype=dtype)
        noise = [_paths_first(e, B) for e in model.split_noise(flat, B * PATHS).posterior]
        for parts, q in zip(layers, model.infer(x, noise)[0], strict=True):
            parts.append(PathMeans.of(q.mean, B))
    found = [_joined(parts).activity() for parts in layers]
    return Activity(*(torch.stack(columns, 1).cpu().numpy() for columns in zip(*found, strict=True)))


def _paths_first(noise: Tensor, examples: int) -> Tensor:
    """Bring the rows of a draw, (B, S), into the order of `System.infer`, (S, B)."""
    by_example: Tensor = noise.unflatten(1, (examples, PATHS))
    return by_example.transpose(1, 2).flatten(1, 2)
