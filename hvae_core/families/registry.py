"""The families that `--model` knows: a name in BUILT_IN for each, tried in order, and then a user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from hvae_core.checks import SpecError
from hvae_core.families import conv, linear, mlp, own, resnet
from hvae_core.families.base import Family
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import outputs_of

BUILT_IN: tuple[Callable[[str], Family | None], ...] = (
    mlp.MLP.parse,
    conv.Conv.parse,
    resnet.ResNet.parse,
    linear.Linear.parse,
)
GRAMMAR = f"{mlp.GRAMMAR}, {conv.GRAMMAR}, {resnet.GRAMMAR}, {linear.GRAMMAR}, or {own.GRAMMAR}"


def parse_model(text: str) -> Family:
    """Read a model as `--model` writes it; raises SpecError with the grammar where it fits no family's.

    A family of the user's own is imported: only for what a user typed, never for what a results directory says.
    """
    model = _built_in(text) or own.find(text)
    if model is not None:
        return model
    raise SpecError(f"model: {text!r} is not a model; it must be {GRAMMAR}")


def check_model(model: Family, image: ImageSpec, mixture: int = 1) -> None:
    """Try the networks of a user's own family on random images; raises SpecError where they are no good."""
    if model.code is not None:
        from hvae_core.families.network_check import check_networks  # loads torch

        check_networks(model, image, outputs_of(image, mixture))


def recorded_model(name: str, code: str | None, latents: str | None) -> Family:
    """Read a model as a cell's configuration records it; imports nothing. Raises SpecError."""
    if code is not None:
        return own.OwnFamily.recorded(name, code, latents)
    model = _built_in(name)
    if model is None:
        known = f"{mlp.GRAMMAR}, {conv.GRAMMAR}, or {resnet.GRAMMAR}"
        raise SpecError(f"model: {name!r} is not a model of this version; it must be {known}")
    return model


@lru_cache(maxsize=4096)  # thousands of cells name the same few models
def _built_in(text: str) -> Family | None:
    return next((model for parse in BUILT_IN if (model := parse(text)) is not None), None)
