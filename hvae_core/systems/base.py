"""What a system must offer: how inference and generation are ordered, over a family's networks.

Training, evaluation and drawings know a system by this interface alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hvae_core.families.base import Shape
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.precision import unrounded
from hvae_core.systems.smoothing import OrnsteinUhlenbeck


@dataclass(frozen=True)
class Noise:
    """Standard normal draws of one pass; a leading 1 instead of M where all members share them.

    posterior[i] (M or 1, B, *shape of layer i + 1) makes z_{i+1}; ou[i] (M or 1, K, B, *shape of layer i + 2) makes
    its K correlated copies, from layer 2 upwards (empty when nothing is smoothed).
    """

    posterior: tuple[Tensor, ...]
    ou: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Terms:
    """Unreduced terms of the objective, all from one draw, in nats per example.

    recon (M, B): log p(x|z_1).
    kl (L, M, B): log q(z_i|.) - log p(z_i|.) at the sampled z_i for i < L (may be negative); the last row is the
    closed-form KL(q(z_L|.) to p(z_L)) where the top prior has one.
    log_ratio (L, M, B): log q(z_i|.) - log p(z_i|.) at the sampled z_i for every layer, which importance weights need.
    """

    recon: Tensor
    kl: Tensor
    log_ratio: Tensor

    @property
    def elbo(self) -> Tensor:
        """recon - sum of kl (M, B); the *smoothed objective*, not a bound, if the pass was smoothed."""
        return self.recon - self.kl.sum(0)

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x) at the sampled z (M, B)."""
        return self.recon - self.log_ratio[:-1].sum(0) - self.log_ratio[-1]


class PixelModel(nn.Module):
    """p(x | z_1): a decoder network and the likelihood that its outputs parameterise."""

    def __init__(self, network: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.network, self.likelihood = network, likelihood

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) for images x (M or 1, N, C, H, W); returns (M, N) in nats."""
        return self.likelihood.log_prob(x, unrounded(self.network(z)))

    def mean(self, z: Tensor) -> Tensor:
        """E[x | z] (M, N, C, H, W)."""
        return self.likelihood.mean(self.network(z))


class System(nn.Module, ABC):
    """M stacked models of one kind, over images (N, C, H, W) and latents of the given shapes, layer 1 first."""

    def __init__(self, networks: Networks, latents: Sequence[Shape], image: ImageSpec, likelihood: Likelihood) -> None:
        super().__init__()
        if len(networks.priors) != len(networks.posteriors) - 1:
            given = f"{len(networks.priors)} given; it must be one fewer than the {len(networks.posteriors)} posteriors"
            raise ValueError(f"priors: {given}")
        self.posteriors = nn.ModuleList(networks.posteriors)
        self.priors = nn.ModuleList(networks.priors)
        self.likelihood = PixelModel(networks.decoder, likelihood)
        self.latents, self.image, self.skip = tuple(latents), image, networks.skip

    def encoded(self, x: Tensor) -> Tensor:
        """Return what the networks read of images: bits as they are, levels 0..255 on [-1, 1]."""
        return x if self.image.levels == 2 else x * (2 / (self.image.levels - 1)) - 1

    def noise_size(self, batch: int, ou_samples: int = 0) -> int:
        """Count the normals of one pass, per seed."""
        units = [math.prod(shape) for shape in self.latents]
        return batch * (sum(units) + ou_samples * sum(units[1:]))

    def split_noise(self, flat: Tensor, batch: int, ou_samples: int = 0) -> Noise:
        """Cut one flat draw (M or 1, size) into the pass's pieces."""
        copied = self.latents[1:] if ou_samples else ()
        shapes = [(batch, *shape) for shape in self.latents] + [(ou_samples, batch, *shape) for shape in copied]
        pieces = flat.split([math.prod(shape) for shape in shapes], dim=1)
        shaped = [piece.view(-1, *shape) for piece, shape in zip(pieces, shapes, strict=True)]
        L = len(self.latents)
        return Noise(tuple(shaped[:L]), tuple(shaped[L:]))

    def parents(self, zs: Sequence[Tensor]) -> Tensor:
        """Return what a network of the generator reads of the layers above it, the nearest first."""
        return torch.cat(list(zs), dim=2) if self.skip else zs[0]

    def prior(self, i: int, zs: Sequence[Tensor]) -> Callable[[Tensor], Normal]:
        """Return p(z_{i+1} | z_{i+2}, ...) as a function of z_{i+2} alone.

        Further parents are held at those of the layers zs (M, B, *shape), repeated to as many rows (k, B).
        """
        network, further = self.priors[i], zs[i + 2 :] if self.skip else ()

        def conditional(z: Tensor) -> Normal:
            found: Normal = network(self.parents([z, *(rows(other, z.shape[1]) for other in further)]))
            return found

        return conditional

    def way_down(self, zs: Sequence[Tensor]) -> tuple[list[Callable[[Tensor], Normal]], Tensor]:
        """Return `prior` of every layer below the top, and what the decoder reads."""
        return [self.prior(i, zs) for i in range(len(self.priors))], self.parents(zs)

    def start(self, images: Tensor, highest: int, seeds: Sequence[int]) -> None:  # most have nothing
        """Start what begins as training images (N, C, H, W) with values 0..highest, chosen by each seed."""

    @abstractmethod
    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Sample z given images x (M or 1, B, C, H, W): each layer's q and z (M, N, *shape), layer 1 first.

        Noise for N = k B rows takes k samples of each example, as (k, B) along the rows.
        """

    @abstractmethod
    def forward(self, x: Tensor, noise: Noise, smoothing: OrnsteinUhlenbeck | None = None) -> Terms:
        """Return the terms of one pass over x, with the generator's conditionals smoothed if asked."""

    @abstractmethod
    def generate(self, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z_1] (M, N, C, H, W) for z drawn from the prior with this noise of each layer, layer 1 first."""

    @abstractmethod
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z_1] (M, B, C, H, W) for z_1 drawn given x (M or 1, B, C, H, W)."""


def rows(x: Tensor, count: int) -> Tensor:
    """Repeat the rows of x (M, B, *shape) until there are `count`."""
    return x if x.shape[1] == count else x.repeat(1, count // x.shape[1], *[1] * (x.dim() - 2))


def dtype_of(model: nn.Module) -> torch.dtype:
    """Return the type of a model's numbers."""
    return next(model.parameters()).dtype
