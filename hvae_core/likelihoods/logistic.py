"""256 levels: a logistic distribution over [-1, 1], cut into bins that carry the levels.

A level x stands for v = 2 x / 255 - 1 and for the bin v +- h, h = 1/255; the first bin is open below and the last one
above, so that the 256 probabilities sum to one whatever the mean and scale. With a = (v + h - m) / s and
b = (v - h - m) / s, the edges of the bin,

    log( sigmoid(a) - sigmoid(b) ) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)),

which cancels nowhere: the difference itself is zero in float32 a few scales away from the mean.

References
----------
Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016 (discretised logistic).
Salimans et al., PixelCNN++, 2017 (open edge bins, the least log scale of -7).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hvae_core.likelihoods.base import Likelihood

HIGHEST = 255  # the last level
HALF_BIN = 1 / HIGHEST
LEAST_LOG_SCALE = -7.0


def position(x: Tensor) -> Tensor:
    """Levels 0..255 -> their places in [-1, 1]."""
    return x * (2 / HIGHEST) - 1


def log_scale_of(s: Tensor) -> Tensor:
    """Log scale of an output s of a decoder: s itself, held above -7 by a softplus, whose gradient never vanishes."""
    return LEAST_LOG_SCALE + F.softplus(s - LEAST_LOG_SCALE)


def log_probability(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log p(x) in nats of levels x in 0..255, element by element; all three broadcast against each other.

    Products with 0 and 1 choose the edge bins: a step that a CUDA graph records must make no tensors of Python's
    numbers, as the backward pass of torch.where does.
    """
    inverse = (-log_scale).exp()
    distance = position(x) - mean
    below = F.logsigmoid((distance + HALF_BIN) * inverse)  # of what lies below the upper edge
    above = F.logsigmoid(-(distance - HALF_BIN) * inverse)  # of what lies above the lower one
    inside = (-torch.expm1(-2 * HALF_BIN * inverse)).log()
    has_above, has_below = (x < HIGHEST).to(below.dtype), (x > 0).to(below.dtype)
    return has_above * below + has_below * above + has_above * has_below * inside


def expectation(mean: Tensor, log_scale: Tensor) -> Tensor:
    """E[x] in 0..255, exactly: the sum over the 255 inner edges of the probability to lie above them."""
    inverse = (-log_scale).exp()
    total = torch.zeros_like(mean)
    for level in range(HIGHEST):
        edge = (2 * level + 1) / HIGHEST - 1
        total += torch.sigmoid((mean - edge) * inverse)
    return total


def draw(mean: Tensor, log_scale: Tensor, uniform: Tensor) -> Tensor:
    """Draw levels 0..255 with the help of numbers in [0, 1)."""
    smallest = torch.finfo(uniform.dtype).tiny
    v = mean + log_scale.exp() * (uniform.clamp(min=smallest).log() - torch.log1p(-uniform))
    return ((v + 1) * (HIGHEST / 2)).round().clamp(0, HIGHEST)


def of_moments(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log scale on [-1, 1] of values in [0, 1] with these moments, no narrower than a bin."""
    scale = 2 * std.clamp(min=HALF_BIN) * (math.sqrt(3) / math.pi)
    return 2 * mean - 1, scale.log()


def output_of(log_scale: Tensor) -> Tensor:
    """Undo `log_scale_of`."""
    above = (log_scale - LEAST_LOG_SCALE).clamp(min=1e-3)
    return LEAST_LOG_SCALE + above + torch.log(-torch.expm1(-above))


class DiscretisedLogistic(Likelihood):
    """Each value of an image apart; out holds the means of all channels, then their log scales."""

    def __init__(self, channels: int) -> None:
        self.channels, self.outputs = channels, 2 * channels

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | z) (M, N) in nats for levels x in 0..255."""
        mean, s = out.chunk(2, dim=2)
        return log_probability(x, mean, log_scale_of(s)).flatten(2).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """Return E[x | z] (M, N, C, H, W) in 0..255."""
        mean, s = out.chunk(2, dim=2)
        return expectation(mean, log_scale_of(s))

    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Draw levels (M, N, C, H, W)."""
        mean, s = out.chunk(2, dim=2)
        return draw(mean, log_scale_of(s), uniform[:, :, : self.channels])

    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        """Return outputs (2 C, H, W) with the moments of each value, (C, H, W) in [0, 1]."""
        m, log_scale = of_moments(mean, std)
        return torch.cat([m, output_of(log_scale)])
