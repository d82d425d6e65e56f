"""How large a system is over a family's networks, found by building it without memory (on torch's meta device)."""

from __future__ import annotations

import torch

from hvae_core.families.base import Family
from hvae_core.families.sizes import kept_for_backward
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import likelihood_of, outputs_of
from hvae_core.spec import ObjectiveSpec
from hvae_core.systems.base import System
from hvae_core.systems.build import ordered
from hvae_core.systems.smoothing import OrnsteinUhlenbeck


def parameters(family: Family, image: ImageSpec, objective: ObjectiveSpec, mixture: int) -> int:
    """Count the weights of one member; raises SpecError where the family has no such system."""
    if objective.system == "hvae":
        return family.parameters(image, outputs_of(image, mixture))
    return sum(parameter.numel() for parameter in _without_memory(family, image, objective, mixture).parameters())


def step_floats(family: Family, image: ImageSpec, objective: ObjectiveSpec, mixture: int) -> tuple[int, int]:
    """Numbers that the backward pass of one member keeps: whatever the minibatch, and for each row of it."""
    model = _without_memory(family, image, objective, mixture)

    def kept(batch: int) -> int:
        with torch.device("meta"):
            x, K = torch.empty(1, batch, *image.shape), objective.ou_samples
            noise = model.split_noise(torch.empty(1, model.noise_size(batch, K)), batch, K)
            smoothing = OrnsteinUhlenbeck(torch.empty(1), objective.smoothing) if objective.rho < 1 else None
            return kept_for_backward(lambda: model(x, noise, smoothing))

    one, two = kept(1), kept(2)
    return max(0, 2 * one - two), two - one


def _without_memory(family: Family, image: ImageSpec, objective: ObjectiveSpec, mixture: int) -> System:
    with torch.device("meta"):
        likelihood = likelihood_of(image, mixture)
        return ordered(objective.system, family, 1, image, likelihood, objective.pseudo_inputs)[0]
