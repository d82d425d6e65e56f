"""The MLP family's networks: two tanh layers and a linear one, stacked over members."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Parts
from hvae_core.networks.stacked import StackedLinear
from hvae_core.precision import unrounded

SOFTPLUS_SHIFT = math.log(math.expm1(1.0))  # softplus(SOFTPLUS_SHIFT) = 1: every sigma starts near 1
SIGMA_FLOOR = 1e-4


class TanhTrunk(nn.Module):
    """Two tanh layers: (M or 1, N, I), or an image, -> (M, N, hidden)."""

    def __init__(self, members: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.first = StackedLinear(members, inputs, hidden)
        self.second = StackedLinear(members, hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers; tanh in place, as its backward needs its output alone."""
        features: Tensor = self.second(self.first(x.flatten(2)).tanh_()).tanh_()
        return features


class TanhNetwork(TanhTrunk):
    """Two tanh layers and a linear one: (M or 1, N, I) -> (M, N, O)."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int, fan_out: int | None = None) -> None:
        super().__init__(members, inputs, hidden)
        self.out = StackedLinear(members, hidden, outputs, fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three layers."""
        out: Tensor = self.out(super().forward(x))
        return out


def normal_of(outputs: Tensor) -> Normal:
    """N(mu, sigma^2) of a network's outputs (M, N, 2 D, *), mu first, sigma = softplus(s + softplus^-1(1)) + 1e-4."""
    mean, s = unrounded(outputs).chunk(2, dim=2)
    return Normal(mean, F.softplus(s + SOFTPLUS_SHIFT) + SIGMA_FLOOR)


class LinearHead(nn.Module):
    """Features (M, N, F) -> Normal on (M, N, D)."""

    def __init__(self, members: int, features: int, latents: int) -> None:
        super().__init__()
        self.out = StackedLinear(members, features, 2 * latents, fan_out=latents)

    def forward(self, features: Tensor) -> Normal:
        """Return the Normal."""
        return normal_of(self.out(features))


class NormalNetwork(nn.Module):
    """A conditional N(mu(x), sigma(x)^2) with sigma = softplus(s(x) + softplus^-1(1)) + 1e-4 (ours)."""

    def __init__(self, members: int, inputs: int, hidden: int, latents: int) -> None:
        super().__init__()
        self.network = TanhNetwork(members, inputs, hidden, 2 * latents, fan_out=latents)

    def forward(self, x: Tensor) -> Normal:
        """Return the Normal on (M, N, D) for x (M or 1, N, I), or an image (M or 1, N, C, H, W)."""
        return normal_of(self.network(x))


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


class MLPParts(Parts):
    """The parts of an MLP hierarchy with these hidden widths, layer 1 first."""

    def __init__(self, members: int, hidden: Sequence[int], image: ImageSpec, outputs: int) -> None:
        self.members, self.features, self.image, self.outputs = members, tuple(hidden), image, outputs

    def bottom(self) -> nn.Module:
        """Return the trunk of the image."""
        return self.trunk(self.image.pixels, 0)

    def trunk(self, inputs: int, layer: int) -> nn.Module:
        """Return two tanh layers of that layer's width."""
        return TanhTrunk(self.members, inputs, self.features[layer])

    def head(self, layer: int, units: int) -> nn.Module:
        """Return a linear layer to mean and sigma."""
        return LinearHead(self.members, self.features[layer], units)

    def decoder(self, inputs: int) -> tuple[nn.Module, Callable[[Tensor], None]]:
        """Return the network to the image."""
        network = ImageNetwork(self.members, inputs, self.features[0], self.image, self.outputs)
        return network, network.set_output


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
