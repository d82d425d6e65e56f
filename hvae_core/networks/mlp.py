"""The MLP family's networks: two tanh layers and a linear one, stacked over members."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.networks.normal import Normal
from hvae_core.networks.stacked import StackedLinear

SOFTPLUS_SHIFT = math.log(math.expm1(1.0))  # softplus(SOFTPLUS_SHIFT) = 1: every sigma starts near 1
SIGMA_FLOOR = 1e-4


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
