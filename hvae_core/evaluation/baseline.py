"""What a model that has learned the mean image alone reaches: the least that a trained model must.

baseline = E_x [ log p(x) ],   every pixel independent, with its mean and deviation over the training images
"""

from __future__ import annotations

import torch

from hvae_core.data import Dataset
from hvae_core.evaluation.blocks import blocks
from hvae_core.likelihoods.registry import likelihood_of

BLOCK = 1_000
BLOCK_OF_LEVELS = 100  # whose likelihood works on many tensors of an image's size


def independent_pixels(data: Dataset, mixture: int = 1) -> float:
    """Mean log-likelihood of the test images under independent pixels, in nats per image."""
    likelihood = likelihood_of(data.image, mixture)
    moments = map(torch.from_numpy, (data.pixel_mean, data.pixel_std))
    out = likelihood.initial_bias(*moments).expand(1, 1, -1, -1, -1)
    images = torch.from_numpy(data.test)
    size = BLOCK if data.image.levels == 2 else BLOCK_OF_LEVELS
    total = sum(float(likelihood.log_prob(x, out).sum()) for _, x in blocks(images, size, torch.float64))
    return total / len(images)
