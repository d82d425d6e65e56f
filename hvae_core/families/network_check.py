"""What a family's networks must do before anything is trained with them: shapes, seeds, members that never mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hvae_core.checks import SpecError
from hvae_core.families.base import Family
from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.stacked import StackedLayer, glorot_uniform

MEMBERS, ROWS = 3, 4


def check_networks(family: Family, image: ImageSpec, outputs: int) -> None:
    """Raise SpecError, in one line that names the model and the network, where a family's networks are no good.

    Each network is built for three members and run on four random rows. Every output must have its shape, every
    parameter must be a stacked layer's (so that seeds initialise it), and the gradient of one member's outputs must
    be zero in the parameters and inputs of the others.
    """
    try:
        networks = family.networks(MEMBERS, image, outputs)
        _count(family, networks)
        shapes = (image.shape, *family.latents)
        for i, posterior in enumerate(networks.posteriors):
            _check(family, f"posterior of layer {i + 1}", posterior, shapes[i], shapes[i + 1], normal=True)
        for i, prior in enumerate(networks.priors):
            _check(family, f"prior of layer {i + 1}", prior, family.parents(i + 1), shapes[i + 1], normal=True)
        _check(family, "decoder", networks.decoder, family.parents(0), (outputs, *image.shape[1:]), normal=False)
    except SpecError:
        raise
    except Exception as error:  # a user's networks may raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise SpecError(f"model: {family.name!r} does not run: {type(error).__name__}: {reason}") from error


def _count(family: Family, networks: Networks) -> None:
    L = family.depth
    if not L or (len(networks.posteriors), len(networks.priors)) != (L, L - 1):
        found = f"{len(networks.posteriors)} posteriors and {len(networks.priors)} priors for {L} layers"
        raise SpecError(f"model: {family.name!r} has {found}; it must be L and L - 1, at least one layer")


def _check(
    family: Family, name: str, network: nn.Module, given: tuple[int, ...], wanted: tuple[int, ...], normal: bool
) -> None:
    _check_parameters(family, name, network)
    glorot_uniform(network, range(MEMBERS))
    x = torch.randn(MEMBERS, ROWS, *given, generator=torch.Generator().manual_seed(0)).requires_grad_()
    result = network(x)
    if isinstance(result, Normal) != normal:
        kind = "a Normal" if normal else "a tensor"
        raise SpecError(f"model: {family.name!r}: the {name} returns {type(result).__name__}; it must be {kind}")
    values = [result.mean, result.std] if normal else [result]
    for value in values:
        if tuple(value.shape) != (MEMBERS, ROWS, *wanted):
            raise SpecError(
                f"model: {family.name!r}: the {name} returns {tuple(value.shape)} for inputs {tuple(x.shape)}; "
                f"it must be {(MEMBERS, ROWS, *wanted)}"
            )
    if normal and not bool((result.std > 0).all()):
        raise SpecError(f"model: {family.name!r}: the {name} returns a std that is not positive")
    _check_members(family, name, network, x, values)
    shared = network(x[:1].detach())  # the image is shared by members of one seed
    if (shared.mean if normal else shared).shape[0] != MEMBERS:
        raise SpecError(
            f"model: {family.name!r}: the {name} does not give {MEMBERS} members for an input that they share"
        )


def _check_parameters(family: Family, name: str, network: nn.Module) -> None:
    layered = {id(p) for layer in network.modules() if isinstance(layer, StackedLayer) for p in layer.parameters()}
    for key, parameter in network.named_parameters():
        if id(parameter) not in layered:
            raise SpecError(f"model: {family.name!r}: {key} of the {name} is in no StackedLayer, so no seed starts it")
        if parameter.shape[0] != MEMBERS:
            raise SpecError(
                f"model: {family.name!r}: {key} of the {name} is {tuple(parameter.shape)}; its first axis must be "
                f"the {MEMBERS} members"
            )


def _check_members(family: Family, name: str, network: nn.Module, x: Tensor, values: list[Tensor]) -> None:
    parameters = list(network.parameters())
    total = torch.stack([value[0].sum() for value in values]).sum()
    gradients = torch.autograd.grad(total, [x, *parameters], allow_unused=True, materialize_grads=True)
    if any(bool(gradient[1:].abs().max() > 0) for gradient in gradients):
        raise SpecError(f"model: {family.name!r}: members mix in the {name}: one's outputs depend on another's numbers")
