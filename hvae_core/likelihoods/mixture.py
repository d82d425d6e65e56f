"""256 levels: a mixture of discretised logistics for each pixel, whose colours depend on each other.

    p(r, g, b) = sum_k w_k  p(r; m_k1, s_k1)  p(g; m_k2 + c_k1 r, s_k2)  p(b; m_k3 + c_k2 r + c_k3 g, s_k3)

with colours on [-1, 1], coefficients c = tanh(.), and each factor a discretised logistic (see `logistic`). The
components are chosen for a pixel and not for a value. Grey images have no coefficients.

References
----------
Salimans et al., PixelCNN++, 2017.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hvae_core.likelihoods.base import Likelihood
from hvae_core.likelihoods.logistic import (
    draw,
    expectation,
    log_probability,
    log_scale_of,
    of_moments,
    output_of,
    position,
)

NARROWER = 2.0  # the components at the start, than one that has all the variance


class LogisticMixture(Likelihood):
    """out holds, one after the other, logits (n), means (C n), log scales (C n) and coefficients (C (C - 1) / 2 n)."""

    def __init__(self, channels: int, components: int) -> None:
        self.channels, self.components = channels, components
        self.outputs = components * (1 + 2 * channels + channels * (channels - 1) // 2)

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | z) (M, N) in nats for levels x in 0..255."""
        logits, means, scales, links = self._parts(out)
        v, total = position(x), F.log_softmax(logits, dim=2)
        for c in range(self.channels):
            mean = self._mean(c, means, links, [v[:, :, i : i + 1] for i in range(c)])
            total = total + log_probability(x[:, :, c : c + 1], mean, scales[c])
        return total.logsumexp(2).flatten(2).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """Return E[x | z] (M, N, C, H, W) in 0..255.

        A colour that depends on earlier ones is taken at their means within each component, which is exact but for
        what the open edge bins hold.
        """
        logits, means, scales, links = self._parts(out)
        weights, inside, found = logits.softmax(2), list[Tensor](), list[Tensor]()
        for c in range(self.channels):
            each = expectation(self._mean(c, means, links, inside), scales[c])
            inside.append(position(each))
            found.append((weights * each).sum(2, keepdim=True))
        return torch.cat(found, dim=2)

    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Draw levels (M, N, C, H, W): a component for each pixel, and its colours one after the other."""
        logits, means, scales, links = self._parts(out)
        edges = logits.softmax(2).cumsum(2)
        chosen = (uniform[:, :, :1] >= edges).sum(2, keepdim=True).clamp(max=self.components - 1)
        drawn: list[Tensor] = []
        for c in range(self.channels):
            mean = self._mean(c, means, links, [position(level) for level in drawn]).gather(2, chosen)
            drawn.append(draw(mean, scales[c].gather(2, chosen), uniform[:, :, c + 1 : c + 2]))
        return torch.cat(drawn, dim=2)

    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        """Return outputs (outputs, H, W) whose components lie side by side around each value's mean."""
        m, log_scale = of_moments(mean, std)
        places = torch.logit((torch.arange(self.components, dtype=mean.dtype) + 0.5) / self.components)
        means = m.unsqueeze(1) + (log_scale.exp()).unsqueeze(1) * places.view(-1, 1, 1)
        scales = output_of(log_scale - torch.tensor(NARROWER).log()).unsqueeze(1).expand_as(means)
        rest = self.components * self.channels * (self.channels - 1) // 2
        weights = mean.new_zeros(self.components, *mean.shape[1:])
        return torch.cat([weights, means.flatten(0, 1), scales.flatten(0, 1), mean.new_zeros(rest, *mean.shape[1:])])

    def _parts(self, out: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
        """Split (M, N, outputs, H, W): logits, and means, log scales and coefficients in parts of n maps."""
        logits, *rest = out.split(self.components, dim=2)
        C = self.channels
        return logits, rest[:C], [log_scale_of(s) for s in rest[C : 2 * C]], [c.tanh() for c in rest[2 * C :]]

    def _mean(self, c: int, means: list[Tensor], links: list[Tensor], earlier: list[Tensor]) -> Tensor:
        """Mean of colour c in each component, given the earlier colours on [-1, 1]."""
        mean, first = means[c], c * (c - 1) // 2
        for link, colour in zip(links[first : first + c], earlier, strict=True):
            mean = mean + link * colour
        return mean
