"""A family of one's own: `hvae-sweep rho --model leaky:Leaky`, with this file's folder on PYTHONPATH.

Two stochastic layers of 8 units and one leaky-ReLU layer in every network, where the built-in family has two of tanh.
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from hvae_core.families import Family, Shape
from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.stacked import StackedLinear


class Net(nn.Module):
    def __init__(self, members: int, inputs: int, outputs: int, image: Shape = ()) -> None:
        super().__init__()
        self.first, self.out = StackedLinear(members, inputs, 64), StackedLinear(members, 64, outputs)
        self.image = image  # what a decoder returns; a posterior or prior returns a Normal

    def forward(self, x: Tensor) -> Tensor | Normal:
        out: Tensor = self.out(F.leaky_relu(self.first(x.flatten(2))))
        if self.image:
            return out.view(*out.shape[:2], *self.image)
        mean, s = out.chunk(2, dim=-1)
        return Normal(mean, F.softplus(s) + 1e-4)


@dataclass(frozen=True)
class Leaky(Family):
    name: str = "leaky"
    latents: tuple[Shape, ...] = ((8,), (8,))

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        maps = (outputs, *image.shape[1:])
        posteriors = [Net(members, image.pixels, 2 * 8), Net(members, 8, 2 * 8)]
        return Networks(posteriors, [Net(members, 8, 2 * 8)], Net(members, 8, math.prod(maps), maps))
