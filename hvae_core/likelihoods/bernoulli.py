"""Binary pixels: x ~ Bernoulli(sigmoid(l)) for a logit l of each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hvae_core.likelihoods.base import Likelihood


class Bernoulli(Likelihood):
    """The likelihood of images of zeros and ones; out holds their logits."""

    def __init__(self, channels: int = 1) -> None:
        self.outputs = channels

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | z) (M, N) in nats."""
        against = (1 - 2 * x) * out  # a 1 has the likelihood sigmoid(l), a 0 has sigmoid(-l)
        return -F.softplus(against, threshold=40.0).flatten(2).sum(-1)  # exact to float64 from there on

    def mean(self, out: Tensor) -> Tensor:
        """Return pixel probabilities (M, N, C, H, W)."""
        return torch.sigmoid(out)

    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Draw zeros and ones (M, N, C, H, W)."""
        return (uniform < torch.sigmoid(out)).to(out.dtype)

    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        """Return the logit of the pixel mean (C, H, W), clipped to [0.001, 0.999]; it fixes the deviation."""
        return torch.logit(mean.clamp(0.001, 0.999))
