"""Which likelihood images have, by their levels: a line here for each.

2 levels      Bernoulli
256 levels    a discretised logistic for each value; with `mixture` > 1 a mixture of them for each pixel
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hvae_core.checks import SpecError
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.likelihoods.base import Likelihood


def outputs_of(image: ImageSpec, mixture: int = 1) -> int:
    """Return `Likelihood.outputs` for such images, without loading torch; raises SpecError for a mixture of bits."""
    return _entry(image, mixture)[1](image.shape[0], mixture)


def likelihood_of(image: ImageSpec, mixture: int = 1) -> Likelihood:
    """Return the likelihood of such images; raises SpecError for a mixture of bits."""
    return _entry(image, mixture)[0](image.shape[0], mixture)


def _entry(image: ImageSpec, mixture: int) -> tuple[Callable[[int, int], Likelihood], Callable[[int, int], int]]:
    if image.levels == 2 and mixture != 1:
        raise SpecError(f"mixture: {mixture} is not allowed for binary images; it must be 1")
    return LIKELIHOODS[image.levels, mixture > 1]


def _bernoulli(channels: int, mixture: int) -> Likelihood:
    from hvae_core.likelihoods.bernoulli import Bernoulli

    return Bernoulli(channels)


def _logistic(channels: int, mixture: int) -> Likelihood:
    from hvae_core.likelihoods.logistic import DiscretisedLogistic

    return DiscretisedLogistic(channels)


def _mixture(channels: int, mixture: int) -> Likelihood:
    from hvae_core.likelihoods.mixture import LogisticMixture

    return LogisticMixture(channels, mixture)


LIKELIHOODS = {
    (2, False): (_bernoulli, lambda channels, mixture: channels),
    (256, False): (_logistic, lambda channels, mixture: 2 * channels),
    (256, True): (_mixture, lambda channels, mixture: mixture * (1 + 2 * channels + channels * (channels - 1) // 2)),
}
"""By the levels of an image and whether a mixture is asked for: what builds it, and the maps it needs."""
