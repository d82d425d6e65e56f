"""Binary pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.mlp import TanhNetwork


class BernoulliNetwork(Likelihood):
    """A likelihood Bernoulli(sigmoid(l(z))) over binary pixels."""

    def __init__(self, members: int, latents: int, hidden: int, pixels: int) -> None:
        super().__init__()
        self.network = TanhNetwork(members, latents, hidden, pixels)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) for x (M or 1, N, P) of zeros and ones and z (M, N, D); returns (M, N) in nats."""
        against = (1 - 2 * x) * self.network(z)  # a 1 has the likelihood sigmoid(l), a 0 has sigmoid(-l)
        return -F.softplus(against, threshold=40.0).sum(-1)  # exact to float64 from there on

    def mean(self, z: Tensor) -> Tensor:
        """Pixel probabilities E[x | z] (M, N, P)."""
        return torch.sigmoid(self.network(z))

    @torch.no_grad()
    def set_pixel_mean(self, mean: Tensor) -> None:
        """Start the output bias at the logit of the training pixel mean (P,), clipped to [0.001, 0.999]."""
        self.network.out.bias.copy_(torch.logit(mean.clamp(0.001, 0.999)))
