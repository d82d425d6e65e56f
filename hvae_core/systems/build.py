"""From a family, a likelihood and seeds to the model of a pack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.families.base import Family
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.likelihoods.registry import likelihood_of
from hvae_core.networks.base import Networks
from hvae_core.networks.stacked import glorot_uniform
from hvae_core.spec import DEFAULT_PSEUDO_INPUTS, SystemName
from hvae_core.systems.base import System
from hvae_core.systems.biva import biva
from hvae_core.systems.hvae import HVAE
from hvae_core.systems.lvae import LadderVAE, ladder_networks
from hvae_core.systems.vampprior import vampprior


def build(
    family: Family,
    image: ImageSpec,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float32,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    mixture: int = 1,
    system: SystemName = "hvae",
    pseudo_inputs: int = DEFAULT_PSEUDO_INPUTS,
) -> System:
    """Build one member per seed, with Glorot weights and the decoder's bias at the data's moments.

    mean and std (C, H, W) are in units of the largest value of a pixel. Without a mean that bias stays at zero;
    without a std it is that of black and white pixels. mixture: the components of the likelihood. Raises SpecError
    where a family has no such system.
    """
    likelihood = likelihood_of(image, mixture)
    model, networks = ordered(system, family, len(seeds), image, likelihood, pseudo_inputs)
    model = model.to(dtype)
    glorot_uniform(model, seeds)
    if mean is not None and networks.set_output is not None:
        std = (mean * (1 - mean)).sqrt() if std is None else std
        if networks.one_bias:
            square = (std.square() + mean.square()).mean((1, 2), keepdim=True)
            mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
            std = (square - mean.square()).clamp(min=0).sqrt().expand_as(mean)
        networks.set_output(likelihood.initial_bias(mean.to(dtype), std.to(dtype)))
    return model


def ordered(
    system: SystemName, family: Family, members: int, image: ImageSpec, likelihood: Likelihood, pseudo_inputs: int
) -> tuple[System, Networks]:
    """Return a system of that name over a family's networks, without initial weights; a case for each.

    Raises SpecError where the family cannot be trained as such.
    """
    if reason := family.why_not(system):
        raise SpecError(reason)
    outputs, shapes = likelihood.outputs, family.latents
    parts = family.parts(members, image, outputs)
    if system == "hvae" or parts is None:
        networks = family.networks(members, image, outputs)
        return HVAE(networks, shapes, image, likelihood), networks
    match system:
        case "lvae" | "lvae+skip":
            networks = ladder_networks(parts, shapes, skip=system != "lvae")
            return LadderVAE(networks, shapes, image, likelihood), networks
        case "biva":
            return biva(parts, shapes, image, likelihood)
        case "vampprior":
            return vampprior(parts, shapes, image, likelihood, members, pseudo_inputs)
