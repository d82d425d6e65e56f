"""What a layer knows about the image: lower and upper estimates of the mutual information I_q(x; z_i).

    I_q(x; z_i) = E[ log q(z_i|x) - log q(z_i) ],     q(z_i|x) = E over z_1 .. z_{i-1} of q(z_i | z_{i-1})

KL_i of an upper layer is no substitute: it is information about the *sampled* z_{i-1}, whose noise it counts too, and
0 <= I_q(x; z_i) <= KL_L at the top. Both densities are mixtures; with N examples and S sampled paths of each, z_n being
drawn on one path of x_n, there are two that bound the information from either side in expectation:

    lower   E log f(x_n, z_n) / (1/N sum_m f(x_m, z_n)) for any positive f that has not seen the pair (InfoNCE), never
            above log N. f is the better of two: the mixture over the other S - 1 paths of x_m, which is exact where
            paths agree, and a normal with the mean of z given x_m and one covariance, which holds where they do not.
    upper   E[ log of the mixture over all S paths of x_n, that of z_n among them ], less the larger of two
            E[ log r(z_n) ]: r the mixture over the other examples, or one normal that is fitted to the paths of other
            folds than n's. It is high by what the fit costs, up to about D^2 / 4N nats, and where the paths' own noise
            carries more than log S nats, which cannot be averaged out.

Which of two is better is judged for each of ten folds of examples by the others. Both ends are estimates: means over
examples with a standard error, and may be negative.

References
----------
van den Oord, Li and Vinyals, Representation Learning with Contrastive Predictive Coding, 2018 (InfoNCE).
Poole et al., On Variational Bounds of Mutual Information, 2019 (the ends over examples).
Sobolev and Vetrov, Importance Weighted Hierarchical Variational Inference, 2019 (the ends over paths).
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

EXAMPLE_BLOCK = 50  # examples that share one draw of all their paths
CHUNK_BYTES = 2**27  # of log densities held at a time
FOLDS = 10  # of the examples
LEAST_PATHS = 3  # one that z is drawn on, and two that show how far paths differ


@dataclass(frozen=True)
class Information:
    """Estimates of I_q(x; z_i) of each member and layer, numpy (M, L) in nats.

    low, high: the two ends, each with its standard error over examples. gauss: what a Gaussian channel with the same
    covariances between and within examples carries, 1/2 log det(between + within) - 1/2 log det(within): exact for a
    linear model of normal data, an approximation otherwise.
    """

    low: np.ndarray
    low_se: np.ndarray
    high: np.ndarray
    high_se: np.ndarray
    gauss: np.ndarray

    def row(self, member: int) -> dict[str, float]:
        """One member's estimates under the column names of a results table."""
        columns = {"": self.low, "_se": self.low_se, "_high": self.high, "_high_se": self.high_se, "_gauss": self.gauss}
        depth = self.low.shape[1]
        places = {"top": depth - 1, **{str(i + 1): i for i in range(depth)}}
        return {
            f"info_{place}{suffix}": float(values[member, i])
            for place, i in places.items()
            for suffix, values in columns.items()
        }


@torch.no_grad()
@products()
def information(
    model: System, images: Tensor, seeds: Sequence[int], paths: int, purpose: str = "information"
) -> Information:
    """Estimate I_q(x; z_i) of every layer from images (N, C, H, W) with S >= 3 paths each, N >= 2."""
    if len(images) < 2 or paths < LEAST_PATHS:
        raise ValueError(f"information needs 2 examples and {LEAST_PATHS} paths, not {len(images)} and {paths}")
    layers = [_ends(*layer) for layer in _paths(model, images, seeds, paths, purpose)]
    return Information(*(torch.stack(column, 1).cpu().numpy() for column in zip(*layers, strict=True)))


def _paths(
    model: System, images: Tensor, seeds: Sequence[int], paths: int, purpose: str
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Sample paths: of each layer mean and std (M, N, S, D) of q on each path, and z (M, N, D) on the first one."""
    dtype = dtype_of(model)
    found: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in model.latents]
    for block, x in blocks(images, EXAMPLE_BLOCK, dtype):
        B = x.shape[1]
        streams = SeedStreams(seeds, purpose, block, device=images.device)
        flat = streams.normal(model.noise_size(B * paths), dtype=dtype)
        qs, zs = model.infer(x, model.split_noise(flat, B * paths).posterior)
        for parts, q, z in zip(found, qs, zs, strict=True):
            mean, std, sample = (_by_example(part, paths, B) for part in (q.mean, q.std.expand_as(z), z))
            parts.append((mean, std, sample[:, :, 0]))
    return [tuple(torch.cat(column, 1) for column in zip(*parts, strict=True)) for parts in found]  # type: ignore[misc]


def _by_example(rows: Tensor, paths: int, examples: int) -> Tensor:
    """Bring rows (M, S B, *shape) into (M, B, S, D), in float64."""
    by_path: Tensor = rows.flatten(2).unflatten(1, (paths, examples))
    return by_path.transpose(1, 2).double()


def _ends(mean: Tensor, std: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return both ends with their errors, and the Gaussian channel (M,) of one layer."""
    M, N, S, _ = mean.shape
    moments = _Moments.of(mean[:, :, 1:], std[:, :, 1:])  # z was drawn on the first path
    normal, mixture = moments.given_x(), _Mixture(mean.flatten(1, 2), std.flatten(1, 2))
    lows: tuple[list[Tensor], list[Tensor]] = ([], [])
    conditional, others = [], []
    chunk = max(1, CHUNK_BYTES // (8 * M * N * S))
    for start in range(0, N, chunk):
        points = z[:, start : start + chunk]
        B = points.shape[1]
        own = torch.arange(start, start + B, device=z.device).view(1, B, 1).expand(M, B, 1)
        each = mixture.log_prob(points).unflatten(2, (N, S))
        for terms, critic in zip(lows, (normal.log_prob(points), each[..., 1:].logsumexp(3)), strict=True):
            terms.append(critic.gather(2, own).squeeze(2) - critic.logsumexp(2) + math.log(N))
        all_paths = each.logsumexp(3) - math.log(S)
        conditional.append(all_paths.gather(2, own).squeeze(2))
        others.append(all_paths.scatter(2, own, -math.inf).logsumexp(2) - math.log(N - 1))
    marginal = _larger(torch.cat(others, 1), _log_prob_of_other_folds(mean, std, z))
    low, high = _larger(*(torch.cat(terms, 1) for terms in lows)), torch.cat(conditional, 1) - marginal
    error = math.sqrt(N)
    return low.mean(1), low.std(1) / error, high.mean(1), high.std(1) / error, moments.channel


def _larger(one: Tensor, other: Tensor) -> Tensor:
    """Of two sets of terms (M, N), in each fold those whose mean is larger in the other folds, for each member."""
    ahead = one - other
    total = ahead.sum(1, keepdim=True)
    elsewhere = [(total - fold.sum(1, keepdim=True)).expand_as(fold) for fold in ahead.chunk(FOLDS, 1)]
    return torch.where(torch.cat(elsewhere, 1) > 0, one, other)


def _log_prob_of_other_folds(mean: Tensor, std: Tensor, z: Tensor) -> Tensor:
    """Log density (M, N) of z (M, N, D) under one normal, which is fitted to all paths of the other folds' examples.

    mean, std: of q on each path, (M, N, S, D).
    """
    N, S = mean.shape[1:3]
    middle = mean.mean((1, 2), keepdim=True)
    means, stds, points = ((mean - middle).chunk(FOLDS, 1), std.chunk(FOLDS, 1), (z - middle[:, 0]).chunk(FOLDS, 1))
    first = torch.stack([m.sum((1, 2)) for m in means])  # (F, M, D)
    products_of_means = torch.stack([(rows := m.flatten(1, 2)).transpose(1, 2) @ rows for m in means])
    second = products_of_means + torch.diag_embed(torch.stack([s.square().sum((1, 2)) for s in stds]))  # (F, M, D, D)
    found = []
    for i, here in enumerate(points):
        count = N - here.shape[1]
        centre = (first.sum(0) - first[i]) / (count * S)
        spread = (second.sum(0) - second[i]) / (count * S) - centre.unsqueeze(2) * centre.unsqueeze(1)
        normal = _Normals(centre.unsqueeze(1), spread * count / max(1, count - 1))
        found.append(normal.log_prob(here).squeeze(2))
    return torch.cat(found, 1)


@dataclass(frozen=True)
class _Moments:
    """Mean and covariance of z within and between examples, from R sampled paths of each.

    average (M, N, D): mean of mu over the paths of one x; within (M, D, D): covariance of z given x; between (M, D, D):
    that of E[z|x]; error (M, D, D): that of `average` around E[z|x].
    """

    average: Tensor
    within: Tensor
    between: Tensor
    error: Tensor

    @classmethod
    def of(cls, mean: Tensor, std: Tensor) -> _Moments:
        """Take them from mean and std (M, N, R, D) of q on each path."""
        _, N, R, _ = mean.shape
        average = mean.mean(2)
        wobble = _covariance((mean - average.unsqueeze(2)).flatten(1, 2)) * R / (R - 1)
        within = torch.diag_embed(std.square().mean((1, 2))) + wobble
        within += 1e-12 * torch.diag_embed(within.diagonal(dim1=1, dim2=2))  # it has a root, however long and thin
        seen = _covariance(average - average.mean(1, keepdim=True)) * N / (N - 1)
        root = torch.linalg.cholesky(within)
        values, vectors = torch.linalg.eigh(_both_sides(root, seen - wobble / R))
        sides = root @ vectors  # what is negative in the difference is the estimate's noise
        return cls(average, within, (sides * values.clamp(min=0).unsqueeze(1)) @ sides.transpose(1, 2), wobble / R)

    @property
    def channel(self) -> Tensor:
        """1/2 log det(between + within) - 1/2 log det(within), (M,)."""
        return 0.5 * (torch.logdet(self.between + self.within) - torch.logdet(self.within))

    def given_x(self) -> _Normals:
        """Return a normal for each x; its mean is drawn to the mean of all as far as R paths leave it uncertain."""
        centre = self.average.mean(1, keepdim=True)
        gain = torch.linalg.solve(self.between + self.error + 1e-12 * self.within, self.between)
        left = self.between - self.between @ gain
        return _Normals(centre + (self.average - centre) @ gain, self.within + (left + left.transpose(1, 2)) / 2)


def _both_sides(root: Tensor, matrix: Tensor) -> Tensor:
    """Return root^-1 matrix root^-T for a lower triangular root."""
    half: Tensor = torch.linalg.solve_triangular(root, matrix, upper=False)
    both: Tensor = torch.linalg.solve_triangular(root, half.transpose(1, 2), upper=False)
    return both


def _covariance(centred: Tensor) -> Tensor:
    """Covariance (M, D, D) of rows (M, R, D) whose mean is zero."""
    return centred.transpose(1, 2) @ centred / centred.shape[1]


class _Mixture:
    """Diagonal normals as one matrix product: log N(z; m, s) is linear in (z^2, z, 1)."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        precision = std.pow(-2)
        constant = (
            -0.5 * (mean.square() * precision).sum(2) - std.log().sum(2) - 0.5 * math.log(2 * math.pi) * mean.shape[2]
        )
        self.factors = torch.cat([-0.5 * precision, mean * precision], 2).transpose(1, 2)
        self.constant = constant.unsqueeze(1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of every point (M, B, D) under every component (M, R): (M, B, R)."""
        return torch.baddbmm(self.constant, torch.cat([z.square(), z], 2), self.factors)


class _Normals:
    """Normals of one covariance (M, D, D) around means (M, R, D)."""

    def __init__(self, means: Tensor, covariance: Tensor) -> None:
        self.root = torch.linalg.cholesky(covariance)
        self.means = self._whitened(means)
        half_log_det = self.root.diagonal(dim1=1, dim2=2).log().sum(1)
        self.constant = -(half_log_det + 0.5 * math.log(2 * math.pi) * means.shape[2]).view(-1, 1, 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of every point (M, B, D) under every normal: (M, B, R)."""
        distance: Tensor = torch.cdist(self._whitened(z), self.means, compute_mode="donot_use_mm_for_euclid_dist")
        found: Tensor = self.constant - 0.5 * distance.square()
        return found

    def _whitened(self, points: Tensor) -> Tensor:
        rows: Tensor = torch.linalg.solve_triangular(self.root, points.transpose(1, 2), upper=False)
        return rows.transpose(1, 2)
