"""The residual family's networks: convolutions in pre-activation blocks, stacked over members.

A block adds to its input what two 3x3 convolutions make of it, each behind an ELU. Its last convolution starts at zero,
so that a deep network starts as a shallow one, and the output convolution at a tenth of Glorot's bound: three layers of
32 maps otherwise start with a KL of 10,000 nats. No normalisation: across a batch it would couple examples and the
copies of smoothing, and tell training from evaluation.

References
----------
He et al., Identity Mappings in Deep Residual Networks, 2016 (pre-activation blocks).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.conv import ConvHead, ConvNormal, MapsTrunk, StackedConv, folded, unfolded
from hvae_core.networks.parts import Parts

OUTPUT_GAIN = 0.1


class Block(nn.Module):
    """x + conv(elu(conv(elu(x)))) on folded maps (N, M F, H, W)."""

    def __init__(self, members: int, filters: int) -> None:
        super().__init__()
        self.first = StackedConv(members, filters, filters)
        self.second = StackedConv(members, filters, filters, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = x + self.second(F.elu(self.first(F.elu(x))))
        return out


class ResTrunk(MapsTrunk):
    """A convolution and blocks: (M or 1, N, I, H, W) -> (M, N, filters, H', W').

    The maps halve `halvings` times before the blocks, by convolutions of stride 2, and double `doublings` times behind
    them, by repetition and a convolution.
    """

    def __init__(
        self, members: int, inputs: int, filters: int, blocks: int, halvings: int = 0, doublings: int = 0
    ) -> None:
        super().__init__()
        self.members = members
        self.first = StackedConv(members, inputs, filters, 2 if halvings else 1)
        self.down = nn.ModuleList(StackedConv(members, filters, filters, 2) for _ in range(halvings - 1))
        self.blocks = nn.ModuleList(Block(members, filters) for _ in range(blocks))
        self.up = nn.ModuleList(StackedConv(members, filters, filters) for _ in range(doublings))

    def maps(self, x: Tensor) -> Tensor:
        """Apply the layers; folded maps."""
        maps: Tensor = self.first(folded(x, self.members))
        for layer in self.down:
            maps = layer(F.elu(maps))
        for block in self.blocks:
            maps = block(maps)
        for layer in self.up:
            maps = layer(F.interpolate(F.elu(maps), scale_factor=2, mode="nearest"))
        return maps


class ResNetwork(ResTrunk):
    """A trunk and an output convolution: (M or 1, N, I, H, W) -> (M, N, O, H', W')."""

    def __init__(
        self,
        members: int,
        inputs: int,
        filters: int,
        outputs: int,
        blocks: int,
        halvings: int = 0,
        doublings: int = 0,
        fan_out: int | None = None,
    ) -> None:
        super().__init__(members, inputs, filters, blocks, halvings, doublings)
        self.out = StackedConv(members, filters, outputs, fan_out=fan_out, gain=OUTPUT_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        return unfolded(self.out(F.elu(self.maps(x))), self.members)

    @torch.no_grad()
    def set_output(self, values: Tensor) -> None:
        """Start the output bias at these values (outputs, H, W), the same for all pixels of a map."""
        self.out.bias.copy_(values[:, 0, 0])


class ResParts(Parts):
    """The parts of a residual hierarchy."""

    one_bias = True

    def __init__(
        self, members: int, layers: int, filters: int, blocks: int, halvings: int, image: ImageSpec, outputs: int
    ) -> None:
        self.members, self.features, self.blocks, self.halvings = members, (filters,) * layers, blocks, halvings
        self.image, self.outputs = image, outputs

    def bottom(self) -> nn.Module:
        """Return the trunk of the image, which halves it."""
        return ResTrunk(self.members, self.image.shape[0], self.features[0], self.blocks, halvings=self.halvings)

    def trunk(self, inputs: int, layer: int) -> nn.Module:
        """Return a convolution and blocks."""
        return ResTrunk(self.members, inputs, self.features[layer], self.blocks)

    def head(self, layer: int, units: int) -> nn.Module:
        """Return a convolution to mean and sigma, behind an ELU."""
        return ConvHead(self.members, self.features[layer], units, OUTPUT_GAIN, F.elu)

    def decoder(self, inputs: int) -> tuple[nn.Module, Callable[[Tensor], None]]:
        """Return the network to the image."""
        network = ResNetwork(self.members, inputs, self.features[0], self.outputs, self.blocks, doublings=self.halvings)
        return network, network.set_output


def resnet_networks(
    members: int,
    layers: int,
    channels: int,
    filters: int,
    blocks: int,
    halvings: int,
    image: ImageSpec,
    outputs: int,
    skip: bool,
) -> Networks:
    """Build the networks of a residual hierarchy, whose layers all have so many channels.

    With `skip` the generator's networks read all layers above, side by side as channels.
    """

    def normal(inputs: int, steps: int = 0) -> nn.Module:
        return ConvNormal(ResNetwork(members, inputs, filters, 2 * channels, blocks, steps, fan_out=channels))

    parents = channels * (layers if skip else 1)
    decoder = ResNetwork(members, parents, filters, outputs, blocks, doublings=halvings)
    return Networks(
        [normal(image.shape[0], halvings), *(normal(channels) for _ in range(layers - 1))],
        [normal(channels * (above if skip else 1)) for above in range(layers - 1, 0, -1)],
        decoder,
        decoder.set_output,
        one_bias=True,
        skip=skip,
    )
