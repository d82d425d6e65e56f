"""The linear family's networks: linear means, standard deviations that do not depend on the input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.mlp import SIGMA_FLOOR, SOFTPLUS_SHIFT
from hvae_core.networks.normal import Normal
from hvae_core.networks.stacked import StackedLayer, StackedLinear

NOISE = 0.1  # share of z_1's variance that is not the pixel's; the optimum does not depend on it


class PixelNormal(nn.Module):
    """q(z_1|x) without weights: one unit for each of the first D pixels, of variance r for fair coins.

    z_1 = sqrt((1 - NOISE) r) (2 x - 1) + sqrt(NOISE r) e
    """

    def __init__(self, members: int, ratios: Sequence[float]) -> None:
        super().__init__()
        self.members = members
        variance = torch.tensor(ratios)
        self.register_buffer("size", ((1 - NOISE) * variance).sqrt(), persistent=False)
        self.register_buffer("std", (NOISE * variance).sqrt(), persistent=False)
        self.size: Tensor
        self.std: Tensor

    def forward(self, x: Tensor) -> Normal:
        """Images (M or 1, N, C, H, W) -> Normal on (M, N, D)."""
        mean = self.size * (2 * x.flatten(2)[..., : len(self.size)] - 1)
        mean = mean.expand(self.members, -1, -1)
        return Normal(mean, self.std.expand_as(mean))


class Spread(StackedLayer):
    """A standard deviation of each unit, softplus(b + softplus^-1(1)) + 1e-4; its weight is empty: it has no input."""

    def __init__(self, members: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, 0, units))
        self.bias = nn.Parameter(torch.zeros(members, 1, units))
        self.bound = 0.0

    def forward(self) -> Tensor:
        """Return (M, 1, D)."""
        return F.softplus(self.bias + SOFTPLUS_SHIFT) + SIGMA_FLOOR


class LinearNormal(nn.Module):
    """N(W z, t^2) with t trained, or N(W z, 1)."""

    def __init__(self, members: int, units: int, spread: bool) -> None:
        super().__init__()
        self.mean = StackedLinear(members, units, units)
        self.spread = Spread(members, units) if spread else None

    def forward(self, z: Tensor) -> Normal:
        """Rows z (M or 1, N, D) -> Normal on (M, N, D)."""
        mean: Tensor = self.mean(z)
        std = torch.ones_like(mean) if self.spread is None else self.spread().expand_as(mean)
        return Normal(mean, std)


class FairCoins(nn.Module):
    """A decoder without weights: every pixel is a fair coin, whatever z_1."""

    def __init__(self, image: ImageSpec, outputs: int) -> None:
        super().__init__()
        self.shape = (outputs, *image.shape[1:])

    def forward(self, z: Tensor) -> Tensor:
        """z_1 (M, N, D) -> zeros (M, N, outputs, H, W)."""
        return z.new_zeros(*z.shape[:2], *self.shape)


def linear_networks(members: int, ratios: Sequence[float], image: ImageSpec, outputs: int) -> Networks:
    """Build the networks of the two-layer linear model with one mode for each ratio lambda / s^2, s = 1."""
    D = len(ratios)
    return Networks(
        [PixelNormal(members, ratios), LinearNormal(members, D, spread=True)],
        [LinearNormal(members, D, spread=False)],
        FairCoins(image, outputs),
    )
