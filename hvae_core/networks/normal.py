"""Diagonal normal distributions N(mean, std^2), std a standard deviation.

References
----------
Kingma and Welling, Auto-Encoding Variational Bayes, 2014 (appendix B: the KL of two diagonal normals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hvae_core.precision import unrounded

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Normal:
    """A diagonal normal; mean and std are (M, N, *shape), broadcastable against each other, and never bfloat16."""

    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", unrounded(self.mean))
        object.__setattr__(self, "std", unrounded(self.std))

    def sample(self, noise: Tensor) -> Tensor:
        """Reparameterise: mean + std * noise for standard normal noise; returns (M, N, *shape)."""
        return torch.addcmul(self.mean, self.std, noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density at z (M, N, *shape), summed over the shape; returns (M, N) in nats."""
        scaled = (z - self.mean) / self.std
        return -_summed(0.5 * scaled.square() + self.std.log() + _HALF_LOG_2PI)


def standard_like(q: Normal) -> Normal:
    """Return N(0, I) on the space of q."""
    return Normal(torch.zeros_like(q.mean), torch.ones_like(q.std))


def kl(q: Normal, p: Normal) -> Tensor:
    """KL(q to p) = 1/2 sum [ (s_q/s_p)^2 - 1 - log (s_q/s_p)^2 + ((m_q - m_p)/s_p)^2 ]; returns (M, N) in nats.

    Written with expm1 of the log variance ratio, so that it neither cancels nor goes negative near q = p.
    """
    log_ratio = 2 * (q.std.log() - p.std.log())
    shift = ((q.mean - p.mean) / p.std).square()
    return 0.5 * _summed(torch.expm1(log_ratio) - log_ratio + shift)


def _summed(values: Tensor) -> Tensor:
    """Sum (M, N, *shape) over the shape."""
    return values.flatten(2).sum(-1)
