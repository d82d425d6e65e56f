"""How much device memory a member of a pack takes, before it is built: an upper estimate, held to measurements."""

from __future__ import annotations

import math

import torch

from hvae_core.evaluation.active_units import ACTIVE_BLOCK, ACTIVE_EXAMPLES, PATHS
from hvae_core.evaluation.evaluate import BLOCK
from hvae_core.families.base import Family
from hvae_core.families.sizes import kept_for_backward
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import likelihood_of, outputs_of
from hvae_core.spec import ObjectiveSpec, TrainSpec
from hvae_core.systems.sizes import parameters, step_floats

SYSTEMS_SLACK = 1.2  # beside what the backward pass keeps, what it works on
WORKING = 5  # tensors of one kind of output in the log-probability of pixels of 256 levels


def member_bytes(
    family: Family, objective: ObjectiveSpec, train: TrainSpec, image: ImageSpec, captured: bool = False
) -> int:
    """Peak bytes that one more member adds to a pack, in training and in evaluation; what members share is left out.

    Training holds the weights, Adam's two moments and the gradients, and what the backward pass needs of each network
    (`Family.row_floats`), where a prior has K rows for each posterior sample. Evaluation holds the weights and the
    moments, and the rows of its largest blocks. A step captured as a CUDA graph keeps what it needs while evaluation
    goes on.
    """
    outputs, (kept_of_pixels, working) = outputs_of(image, train.mixture), _likelihood(image, train.mixture)
    B, K = train.batch_size * objective.iwae_k, objective.ou_samples
    floats = family.row_floats(image, outputs)
    rows = B * (floats.decoder + kept_of_pixels + sum(floats.posteriors) + K * sum(floats.priors))
    weights = parameters(family, image, objective, train.mixture)
    # One network at work; mean, std and z of every layer.
    paths = max(floats.posteriors[1:] or floats.posteriors) + 3 * sum(family.units)
    # Of maps larger than the image about half at a time; then what the likelihood works on.
    decoding = max(2 * image.pixels, floats.decoder // 2) + working
    if objective.system == "vampprior":  # differences of a point and all components, and their squares
        decoding = max(decoding, decoding // 2 + 2 * objective.pseudo_inputs * family.units[-1])
    evaluation = ACTIVE_BLOCK * PATHS * paths + BLOCK * decoding
    kept = 3 * ACTIVE_EXAMPLES * sum(family.units) * 8  # of active units, three float64 each per example
    if objective.system != "hvae":
        always, each = step_floats(family, image, objective, train.mixture)
        rows = round(SYSTEMS_SLACK * (always + B * each))
    number = 8 if train.precision == "float64" else 4
    phases = (number * (weights + rows), number * evaluation + kept)
    return 3 * number * weights + (sum(phases) if captured else max(phases))


def _likelihood(image: ImageSpec, mixture: int) -> tuple[int, int]:
    """Numbers that the likelihood keeps for the backward pass of a row, and those that it works on at a time.

    Of bits both are in what their decoder is said to take.
    """
    if image.levels == 2:
        return 0, 0
    likelihood, (channels, *sides) = likelihood_of(image, mixture), image.shape
    out = torch.empty(1, 1, likelihood.outputs, *sides, device="meta", requires_grad=True)
    kept = kept_for_backward(lambda: likelihood.log_prob(torch.empty(1, 1, *image.shape, device="meta"), out))
    at_once = (mixture if mixture > 1 else channels) * math.prod(sides)
    return kept, 2 * out.numel() + WORKING * at_once
