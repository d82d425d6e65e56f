"""Stacked convolutions and the plain convolutional family's networks.

Outside its networks everything is (M, N, C, H, W). Inside, a network folds its members into channels once, (N, M C, H,
W) with channels last in memory, and every layer is one convolution with M groups: measured in benchmarks/conv_stack.py,
that is about as fast as a loop over members on a CPU, and faster on a GPU.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.mlp import normal_of
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Parts
from hvae_core.networks.stacked import StackedLayer

KERNEL = 3


class StackedConv(StackedLayer):
    """A 3x3 convolution of every member: (N, M I, H, W) -> (N, M O, H / stride, W / stride), members as groups.

    fan_out is the number of filters that Glorot's bound sees, where one layer holds several heads side by side.
    """

    def __init__(
        self, members: int, inputs: int, outputs: int, stride: int = 1, fan_out: int | None = None, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, outputs, inputs, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(members, outputs))
        self.stride = stride
        self.bound = gain * math.sqrt(6 / (KERNEL**2 * (inputs + (fan_out or outputs))))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve every member's maps with its own filters."""
        weight = self.weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias.flatten(), self.stride, KERNEL // 2, groups=len(self.weight))


def folded(x: Tensor, members: int) -> Tensor:
    """(M or 1, N, C, H, W) -> (N, M C, H, W), channels last."""
    together: Tensor = x.expand(members, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
    return together.contiguous(memory_format=torch.channels_last)


def unfolded(x: Tensor, members: int) -> Tensor:
    """(N, M C, H, W) -> (M, N, C, H, W)."""
    apart: Tensor = x.unflatten(1, (members, -1))
    return apart.transpose(0, 1).contiguous()


class MapsTrunk(nn.Module, ABC):
    """(M or 1, N, I, H, W) -> (M, N, filters, H', W'): what a subclass does on folded maps."""

    members: int

    @abstractmethod
    def maps(self, x: Tensor) -> Tensor:
        """Return folded maps of x."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        return unfolded(self.maps(x), self.members)


class ConvTrunk(MapsTrunk):
    """Tanh convolutions: (M or 1, N, I, H, W) -> (M, N, filters, H', W').

    strides says how each tanh layer shrinks its maps, or with a negative entry grows them: -2 doubles their sides by
    repeating pixels before the convolution.
    """

    def __init__(self, members: int, inputs: int, filters: int, strides: Sequence[int] = (1, 1)) -> None:
        super().__init__()
        self.members, self.strides = members, tuple(strides)
        widths = (inputs, *[filters] * len(strides))
        self.hidden = nn.ModuleList(
            StackedConv(members, a, b, max(1, stride)) for (a, b), stride in zip(pairwise(widths), strides, strict=True)
        )

    def maps(self, x: Tensor) -> Tensor:
        """Apply the layers; folded maps."""
        maps = folded(x, self.members)
        for layer, stride in zip(self.hidden, self.strides, strict=True):
            if stride < 0:
                maps = F.interpolate(maps, scale_factor=-stride, mode="nearest")
            maps = layer(maps).tanh_()
        return maps


class ConvNetwork(ConvTrunk):
    """Tanh convolutions and a linear one: (M or 1, N, I, H, W) -> (M, N, O, H', W')."""

    def __init__(
        self,
        members: int,
        inputs: int,
        filters: int,
        outputs: int,
        strides: Sequence[int] = (1, 1),
        fan_out: int | None = None,
    ) -> None:
        super().__init__(members, inputs, filters, strides)
        self.out = StackedConv(members, filters, outputs, fan_out=fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        return unfolded(self.out(self.maps(x)), self.members)


class ConvNormal(nn.Module):
    """A conditional N(mu(x), sigma(x)^2) on maps; sigma as in the MLP family."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Normal:
        """Return the Normal on (M, N, C, H, W)."""
        return normal_of(self.network(x))


class ConvHead(nn.Module):
    """Features (M, N, F, H, W), behind an activation if there is one, -> Normal on (M, N, C, H, W)."""

    def __init__(
        self,
        members: int,
        features: int,
        channels: int,
        gain: float = 1.0,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.members, self.activation = members, activation
        self.out = StackedConv(members, features, 2 * channels, fan_out=channels, gain=gain)

    def forward(self, features: Tensor) -> Normal:
        """Return the Normal."""
        maps = folded(features, self.members)
        return normal_of(unfolded(self.out(maps if self.activation is None else self.activation(maps)), self.members))


class ConvDecoder(ConvNetwork):
    """p(x | z_1): one tanh layer, one more for every doubling, and a linear layer to the outputs of each pixel."""

    def __init__(self, members: int, channels: int, filters: int, doublings: int, outputs: int) -> None:
        super().__init__(members, channels, filters, outputs, (1, *[-2] * doublings))

    @torch.no_grad()
    def set_output(self, values: Tensor) -> None:
        """Start the output bias at these values (outputs, H, W), the same for all pixels of a map."""
        self.out.bias.copy_(values[:, 0, 0])


def strides_down(halvings: int) -> list[int]:
    """Strides of the first posterior's tanh layers."""
    return [2] * halvings + [1] * max(0, 2 - halvings)


class ConvParts(Parts):
    """The parts of a plain convolutional hierarchy."""

    one_bias = True

    def __init__(self, members: int, layers: int, filters: int, halvings: int, image: ImageSpec, outputs: int) -> None:
        self.members, self.features, self.halvings = members, (filters,) * layers, halvings
        self.image, self.outputs = image, outputs

    def bottom(self) -> nn.Module:
        """Return the trunk of the image, which halves it."""
        return ConvTrunk(self.members, self.image.shape[0], self.features[0], strides_down(self.halvings))

    def trunk(self, inputs: int, layer: int) -> nn.Module:
        """Return two tanh convolutions."""
        return ConvTrunk(self.members, inputs, self.features[layer])

    def head(self, layer: int, units: int) -> nn.Module:
        """Return a convolution to mean and sigma."""
        return ConvHead(self.members, self.features[layer], units)

    def decoder(self, inputs: int) -> tuple[nn.Module, Callable[[Tensor], None]]:
        """Return the network to the image."""
        network = ConvDecoder(self.members, inputs, self.features[0], self.halvings, self.outputs)
        return network, network.set_output


def conv_networks(
    members: int, layers: int, channels: int, filters: int, halvings: int, image: ImageSpec, outputs: int
) -> Networks:
    """Build the networks of a plain convolutional hierarchy, whose layers all have so many channels."""
    down = strides_down(halvings)

    def normal(inputs: int, strides: Sequence[int] = (1, 1)) -> nn.Module:
        return ConvNormal(ConvNetwork(members, inputs, filters, 2 * channels, strides, fan_out=channels))

    decoder = ConvDecoder(members, channels, filters, halvings, outputs)
    return Networks(
        [normal(image.shape[0], down), *(normal(channels) for _ in range(layers - 1))],
        [normal(channels) for _ in range(layers - 1)],
        decoder,
        decoder.set_output,
        one_bias=True,
    )
