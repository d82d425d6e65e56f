"""From the settings of `hvae-sweep memory` to what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hvae_core.checks import SpecError
from hvae_core.families.base import Family
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.spec import ObjectiveSpec, TrainSpec
from sweeps.options import values
from sweeps.options.request import method_objectives


class MemoryRequest(NamedTuple):
    """Models, objectives, the training run that they share, and the images."""

    models: list[Family]
    objectives: tuple[ObjectiveSpec, ...]
    train: TrainSpec
    image: ImageSpec


def memory_request(given: Mapping[str, Any]) -> MemoryRequest:
    """Check the settings; raises SpecError."""
    try:
        image = ImageSpec.read(given["image"])
    except ValueError as error:
        allowed = "CxHxW/LEVELS with 2 or 256 levels, such as 3x32x32/256"
        raise SpecError(f"image: {given['image']!r} is not allowed; it must be {allowed}") from error
    train = TrainSpec(batch_size=given["batch_size"], precision=given["precision"], mixture=given["mixture"])
    others = {"ou_samples": [str(given["ou_samples"])], "kl_anneal": None, "free_bits": (), "steps": ["1"]}
    models = [parse_model(text) for text in values.items("model", given["model"])]
    return MemoryRequest(models, method_objectives({**given, **others}), train, image)
