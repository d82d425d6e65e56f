"""Stacked layers: M networks of one shape as one, with the member axis first.

A stacked linear layer holds weights (M, I, O) and maps (M, N, I) to (M, N, O) in one batched product, so that M
small networks cost one large operation. Members never mix.

References
----------
Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.networks.normal import Normal
from hvae_core.streams import SeedStreams

SOFTPLUS_SHIFT = math.log(math.expm1(1.0))  # softplus(SOFTPLUS_SHIFT) = 1: every sigma starts near 1
SIGMA_FLOOR = 1e-4


class StackedLinear(nn.Module):
    """y[m] = x[m] @ weight[m] + bias[m]; x (M or 1, N, I) -> (M, N, O).

    fan_out is the width that Glorot's bound sees, where one layer holds several heads side by side.
    """

    def __init__(self, members: int, inputs: int, outputs: int, fan_out: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))
        self.bound = math.sqrt(6 / (inputs + (fan_out or outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply every member's map; an x that all members share has a leading 1."""
        return torch.baddbmm(self.bias, x.expand(self.weight.shape[0], -1, -1), self.weight)


class TanhNetwork(nn.Module):
    """Two tanh layers and a linear one: (M or 1, N, I) -> (M, N, O)."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int, fan_out: int | None = None) -> None:
        super().__init__()
        self.first = StackedLinear(members, inputs, hidden)
        self.second = StackedLinear(members, hidden, hidden)
        self.out = StackedLinear(members, hidden, outputs, fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three layers."""
        out: Tensor = self.out(self.second(self.first(x).tanh()).tanh())
        return out


class NormalNetwork(nn.Module):
    """A conditional N(mu(x), sigma(x)^2) with sigma = softplus(s(x) + softplus^-1(1)) + 1e-4 (ours)."""

    def __init__(self, members: int, inputs: int, hidden: int, latents: int) -> None:
        super().__init__()
        self.network = TanhNetwork(members, inputs, hidden, 2 * latents, fan_out=latents)

    def forward(self, x: Tensor) -> Normal:
        """Return the Normal on (M, N, D) for x (M or 1, N, I)."""
        mean, s = self.network(x).chunk(2, dim=-1)
        return Normal(mean, F.softplus(s + SOFTPLUS_SHIFT) + SIGMA_FLOOR)


class Likelihood(nn.Module, ABC):
    """p(x | z_1): what the generator's last step must offer."""

    @abstractmethod
    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) for x (M or 1, N, P) and z (M, N, D); returns (M, N) in nats."""

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """E[x | z] (M, N, P)."""


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


@torch.no_grad()
def glorot_uniform(module: nn.Module, seeds: Sequence[int]) -> None:
    """Draw every stacked layer's weights uniformly in +-sqrt(6 / (fan_in + fan_out)), from each member's seed.

    Drawn on the CPU in float64 and then cast, so that a seed means the same weights on every device.
    """
    streams = SeedStreams(seeds, "init")
    for layer in module.modules():
        if isinstance(layer, StackedLinear):
            unit = streams.uniform(*layer.weight.shape[1:], dtype=torch.float64)
            layer.weight.copy_((2 * unit - 1) * layer.bound)
            layer.bias.zero_()
