"""How large a family's networks are, found by building them without memory (on torch's meta device)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hvae_core.families.base import Family, RowFloats, Shape
from hvae_core.image import ImageSpec

LAYOUTS = 1.2  # of what maps take: convolutions work on copies in a layout of their own


def parameters(family: Family, image: ImageSpec, outputs: int) -> int:
    """Count the weights of one member."""
    with torch.device("meta"):
        networks = family.networks(1, image, outputs)
    modules = (*networks.posteriors, *networks.priors, networks.decoder)
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def row_floats(family: Family, image: ImageSpec, outputs: int) -> RowFloats:
    """Count the numbers that the backward pass keeps for one row of each network, and its outputs."""
    with torch.device("meta"):
        networks = family.networks(1, image, outputs)
    shapes = (image.shape, *family.latents)
    return RowFloats(
        _kept(networks.decoder, family.parents(0), 2 * outputs * math.prod(image.shape[1:])),
        tuple(_kept(q, shapes[i], 5 * math.prod(shapes[i + 1])) for i, q in enumerate(networks.posteriors)),
        tuple(_kept(p, family.parents(i + 1), 5 * math.prod(shapes[i + 1])) for i, p in enumerate(networks.priors)),
    )


def kept_for_backward(compute: Callable[[], object]) -> int:
    """Count the numbers of the tensors that autograd keeps while something is computed."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[id(tensor)] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        compute()
    return sum(sizes.values())


def _kept(network: Callable[[Tensor], object], shape: Shape, result: int) -> int:
    """Numbers saved for the backward pass of two rows less those of one, and those of the result."""

    def saved(rows: int) -> int:
        return kept_for_backward(lambda: network(torch.zeros(1, rows, *shape, device="meta", requires_grad=True)))

    kept = saved(2) - saved(1) + result
    return kept if len(shape) == 1 else round(LAYOUTS * kept)
