"""From a family, a likelihood and seeds to the model of a pack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hvae_core.families.base import Family
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import likelihood_of
from hvae_core.networks.stacked import glorot_uniform
from hvae_core.systems.base import System
from hvae_core.systems.hvae import HVAE

SYSTEMS: dict[str, type[System]] = {"hvae": HVAE}
"""How inference and generation are ordered, by name: a line here for each."""


def build(
    family: Family,
    image: ImageSpec,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float32,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    mixture: int = 1,
    system: str = "hvae",
) -> System:
    """Build one member per seed, with Glorot weights and the decoder's bias at the data's moments.

    mean and std (C, H, W) are in units of the largest value of a pixel. Without a mean that bias stays at zero;
    without a std it is that of black and white pixels. mixture: the components of the likelihood.
    """
    likelihood = likelihood_of(image, mixture)
    networks = family.networks(len(seeds), image, likelihood.outputs)
    model = SYSTEMS[system](networks, family.latents, image, likelihood).to(dtype)
    glorot_uniform(model, seeds)
    if mean is not None and networks.set_output is not None:
        std = (mean * (1 - mean)).sqrt() if std is None else std
        if networks.one_bias:
            square = (std.square() + mean.square()).mean((1, 2), keepdim=True)
            mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
            std = (square - mean.square()).clamp(min=0).sqrt().expand_as(mean)
        networks.set_output(likelihood.initial_bias(mean.to(dtype), std.to(dtype)))
    return model
