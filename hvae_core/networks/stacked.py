"""Stacked layers: M networks of one shape as one, with the member axis first.

A stacked linear layer holds weights (M, I, O) and maps (M, N, I) to (M, N, O) in one batched product, so that M
small networks cost one large operation. Members never mix.

References
----------
Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hvae_core.streams import SeedStreams


class StackedLayer(nn.Module):
    """A layer whose weight and bias have the member axis first; `bound` is Glorot's.

    Every parameter of a model belongs to one, so that a member's seed says where it starts.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    bound: float


class StackedLinear(StackedLayer):
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


@torch.no_grad()
def glorot_uniform(module: nn.Module, seeds: Sequence[int]) -> None:
    """Draw every stacked layer's weights uniformly in +-sqrt(6 / (fan_in + fan_out)), from each member's seed.

    Drawn on the CPU in float64 and then cast, so that a seed means the same weights on every device.
    """
    streams = SeedStreams(seeds, "init")
    for layer in module.modules():
        if isinstance(layer, StackedLayer):
            unit = streams.uniform(*layer.weight.shape[1:], dtype=torch.float64)
            layer.weight.copy_((2 * unit - 1) * layer.bound)
            layer.bias.zero_()
