"""The prior of the top layer."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from hvae_core.networks.normal import Normal, kl, standard_like


class TopPrior(ABC):
    """p(z_L)."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density at z (M, N, *shape); returns (M, N) in nats."""

    @abstractmethod
    def sample(self, noise: Tensor) -> Tensor:
        """Draw z_L (M, N, *shape) with the help of standard normal noise."""

    @abstractmethod
    def kl(self, q: Normal) -> Tensor | None:
        """KL(q to p) (M, N) in closed form; None where there is none, and the sampled ratio stands for it."""


class StandardNormal(TopPrior):
    """N(0, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density at z; returns (M, N) in nats."""
        return Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z)

    def sample(self, noise: Tensor) -> Tensor:
        """Return the noise itself."""
        return noise

    def kl(self, q: Normal) -> Tensor:
        """Return KL(q to N(0, I)) (M, N)."""
        return kl(q, standard_like(q))
