"""Which likelihood images have: a line here for each number of levels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from hvae_core.checks import SpecError
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.likelihoods.base import Likelihood


class Entry(NamedTuple):
    """A likelihood: its module and class, loaded where it is used, and its outputs, known without loading torch."""

    module: str
    name: str
    outputs: int


LIKELIHOODS = {2: Entry("hvae_core.likelihoods.bernoulli", "Bernoulli", outputs=1)}
"""By the levels of an image."""


def outputs_of(image: ImageSpec) -> int:
    """Return `Likelihood.outputs` for such images; raises SpecError for levels that have no likelihood."""
    if image.levels not in LIKELIHOODS:
        raise SpecError(f"levels: images of {image.levels} levels have no likelihood in this version; binarise them")
    return LIKELIHOODS[image.levels].outputs


def likelihood_of(image: ImageSpec) -> Likelihood:
    """Return the likelihood of such images; raises SpecError for levels that have none."""
    outputs_of(image)
    entry = LIKELIHOODS[image.levels]
    likelihood: Likelihood = getattr(importlib.import_module(entry.module), entry.name)()
    return likelihood
