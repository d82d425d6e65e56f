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
    system: str = "hvae",
) -> System:
    """Build one member per seed, with Glorot weights and the decoder's bias at the data's mean image.

    mean (C, H, W) is in units of the largest value of a pixel; None leaves that bias at zero.
    """
    likelihood = likelihood_of(image)
    networks = family.networks(len(seeds), image, likelihood.outputs)
    model = SYSTEMS[system](networks, family.latents, image, likelihood).to(dtype)
    glorot_uniform(model, seeds)
    if mean is not None and networks.set_output is not None:
        if networks.one_bias:
            mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
        networks.set_output(likelihood.initial_bias(mean.to(dtype)))
    return model
