"""Measure the *unsmoothed* model: ELBO, KL of each layer, active units, importance-weighted bounds.

Nothing here knows about rho. Noise comes from streams of its own, keyed by (seed, purpose, block) over fixed blocks
of examples and samples, so that neither cadence nor a resume changes a number, and all members of a seed share it.

    au_i       units with Var_x( E[mu_i | x] ) > 0.01, the inner mean over S = 32 sampled paths and the within-x
               variance / S subtracted
    au_path_i  the same variance from one sampled path: above layer 1 it counts noise passed up as activity
    L_k        E log (1/k) sum_j p(x, z_j) / q(z_j | x), non-decreasing in k, L_1 = ELBO

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016 (active units and L_k).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hvae_core.streams import SeedStreams
from hvae_core.systems.hvae import HVAE, Noise

BLOCK = 500  # examples that share one draw of a pass
BOUND_BLOCK = 5  # examples, and
SAMPLE_BLOCK = 100  # importance samples, that share one draw of L_k
ACTIVE_BLOCK = 50  # examples, each with
PATHS = 32  # S inner paths, that share one draw of the active-unit estimator
ACTIVE_EXAMPLES = 1_000
ACTIVE_THRESHOLD = 0.01


@dataclass(frozen=True)
class Metrics:
    """Unsmoothed metrics of each member, numpy float64 in nats per example; layers bottom to top.

    elbo, recon (M,); kl (M, L), its last column the top KL; au, au_path (M, L) counts of active units.
    """

    elbo: np.ndarray
    recon: np.ndarray
    kl: np.ndarray
    au: np.ndarray
    au_path: np.ndarray

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
        }


@dataclass(frozen=True)
class Bound:
    """L_k of each member (M,), its standard error over examples, and the mean effective sample size in [1, k]."""

    value: np.ndarray
    standard_error: np.ndarray
    effective_samples: np.ndarray


def _blocks(images: Tensor, size: int, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    for block, part in enumerate(images.split(size)):
        yield block, part.to(dtype).unsqueeze(0)


def _latents(model: HVAE, images: Tensor, dtype: torch.dtype) -> list[int]:
    """Widths of the stochastic layers, read off one inference of one image."""
    widths: list[int] = []
    z = images[:1].to(dtype).unsqueeze(0)
    for posterior in model.posteriors:
        z = posterior(z).mean
        widths.append(z.shape[-1])
    return widths


@torch.no_grad()
def evaluate(model: HVAE, images: Tensor, seeds: Sequence[int], purpose: str) -> Metrics:
    """Evaluate every member on images (N, P) of zeros and ones, with one pass per example.

    Active units use 1,000 of the images, or all if fewer. The purpose ("valid", "test") keys the noise.
    """
    dtype = next(model.parameters()).dtype
    widths = _latents(model, images, dtype)
    recon, kls = [], []
    for block, x in _blocks(images, BLOCK, dtype):
        streams = SeedStreams(seeds, purpose, "pass", block, device=images.device)
        flat = streams.normal(Noise.size(widths, x.shape[1]), dtype=dtype)
        terms = model(x, Noise.split(flat, widths, x.shape[1]))
        recon.append(terms.recon.double().sum(1))
        kls.append(terms.kl.double().sum(2))
    N = len(images)
    mean_recon, mean_kl = torch.stack(recon).sum(0) / N, torch.stack(kls).sum(0) / N
    chosen = torch.from_numpy(choose_examples(N, ACTIVE_EXAMPLES)).to(images.device)
    au, au_path = active_units(model, images[chosen], seeds, purpose)
    return Metrics(
        (mean_recon - mean_kl.sum(0)).cpu().numpy(),
        mean_recon.cpu().numpy(),
        mean_kl.T.cpu().numpy(),
        au,
        au_path,
    )


@torch.no_grad()
def active_units(model: HVAE, images: Tensor, seeds: Sequence[int], purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Count units that carry information about x: images (N, P) -> au, au_path, each (M, L)."""
    dtype = next(model.parameters()).dtype
    widths = _latents(model, images, dtype)
    averages: list[list[Tensor]] = [[] for _ in widths]  # per layer: E[mu | x] over paths, blocks of (M, B, D)
    within: list[list[Tensor]] = [[] for _ in widths]  # variance of mu over the paths of one x
    paths: list[list[Tensor]] = [[] for _ in widths]  # mu on the first path
    for block, x in _blocks(images, ACTIVE_BLOCK, dtype):
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


def choose_examples(total: int, count: int) -> np.ndarray:
    """Choose images for what is too dear for all: min(count, total) indices, the same for every model, in order.

    A random choice, since data sets are often sorted by class.
    """
    shuffled = np.random.Generator(np.random.PCG64(100)).permutation(total)
    return np.sort(shuffled[:count])


@torch.no_grad()
def importance_bound(model: HVAE, images: Tensor, samples: int, seeds: Sequence[int], purpose: str = "bound") -> Bound:
    """L_k with k = samples on images (N, P), by a log-sum-exp that runs over chunks of samples."""
    dtype = next(model.parameters()).dtype
    widths = _latents(model, images, dtype)
    bounds, sizes = [], []
    for block, x in _blocks(images, BOUND_BLOCK, dtype):
        B = x.shape[1]
        total = square = torch.tensor(-math.inf, dtype=torch.float64, device=images.device)
        for chunk, start in enumerate(range(0, samples, SAMPLE_BLOCK)):
            k = min(SAMPLE_BLOCK, samples - start)
            streams = SeedStreams(seeds, purpose, block, chunk, device=images.device)
            noise = Noise.split(streams.normal(Noise.size(widths, k * B), dtype=dtype), widths, k * B)
            log_weight = model(x, noise).log_weight.double().unflatten(1, (k, B))
            total = torch.logaddexp(total, log_weight.logsumexp(1))
            square = torch.logaddexp(square, (2 * log_weight).logsumexp(1))
        bounds.append(total - math.log(samples))
        sizes.append((2 * total - square).exp())  # (sum w)^2 / sum w^2
    per_example, ess = torch.cat(bounds, 1), torch.cat(sizes, 1)
    N = per_example.shape[1]
    error = per_example.std(1) / math.sqrt(N) if N > 1 else torch.full_like(per_example[:, 0], math.nan)
    return Bound(per_example.mean(1).cpu().numpy(), error.cpu().numpy(), ess.mean(1).cpu().numpy())
