"""The MLP family's networks: two tanh layers and a linear one, stacked over members."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
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
        """Return the Normal on (M, N, D) for x (M or 1, N, I), or an image (M or 1, N, C, H, W)."""
        mean, s = self.network(x.flatten(2)).chunk(2, dim=-1)
        return Normal(mean, F.softplus(s + SOFTPLUS_SHIFT) + SIGMA_FLOOR)


class ImageNetwork(TanhNetwork):
    """A decoder: (M, N, D) -> (M, N, outputs, H, W)."""

    def __init__(self, members: int, latents: int, hidden: int, image: ImageSpec, outputs: int) -> None:
        self.shape = (outputs, *image.shape[1:])
        super().__init__(members, latents, hidden, math.prod(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three layers."""
        out: Tensor = super().forward(x).unflatten(-1, self.shape)
        return out

    @torch.no_grad()
    def set_output(self, values: Tensor) -> None:
        """Start the output bias at these values (outputs, H, W)."""
        self.out.bias.copy_(values.flatten())


def mlp_networks(
    members: int, widths: Sequence[int], hidden: Sequence[int], image: ImageSpec, outputs: int
) -> Networks:
    """Build the networks of an MLP hierarchy with these latent and hidden widths, layer 1 first."""
    layers = list(zip((image.pixels, *widths), hidden, widths, strict=False))
    decoder = ImageNetwork(members, widths[0], hidden[0], image, outputs)
    return Networks(
        [NormalNetwork(members, lower, between, upper) for lower, between, upper in layers],
        [NormalNetwork(members, upper, between, lower) for lower, between, upper in layers[1:]],
        decoder,
        decoder.set_output,
    )
