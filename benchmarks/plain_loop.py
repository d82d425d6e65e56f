"""What one would write without stacking: one eager model per process, a DataLoader, the default Adam.

The same model, objective and batch as a pack of one member, for `pack_step.py` to compare with: MLP and plain
convolutional hierarchies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.utils.data import DataLoader, TensorDataset

from hvae_core.families.conv import Conv
from hvae_core.families.mlp import MLP
from hvae_core.image import ImageSpec
from hvae_core.networks.mlp import SIGMA_FLOOR, SOFTPLUS_SHIFT


def network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two tanh layers and a linear one."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, outputs)
    )


def convolutions(inputs: int, filters: int, outputs: int, strides: list[int]) -> nn.Sequential:
    """Tanh convolutions, of stride 2 or behind a doubling (-2), and a linear one."""
    layers: list[nn.Module] = []
    for stride in strides:
        layers += [nn.Upsample(scale_factor=2)] if stride < 0 else []
        layers += [nn.Conv2d(inputs, filters, 3, max(1, stride), padding=1), nn.Tanh()]
        inputs = filters
    return nn.Sequential(*layers, nn.Conv2d(filters, outputs, 3, padding=1))


def normal(net: nn.Module, x: Tensor) -> Normal:
    """Return the conditional normal that a network gives, on vectors (B, D) or maps (B, C, H, W)."""
    mean, s = net(x).chunk(2, dim=1)
    return Normal(mean, F.softplus(s + SOFTPLUS_SHIFT) + SIGMA_FLOOR, validate_args=False)


class PlainHVAE(nn.Module):
    """One hierarchical VAE with a smoothed generator."""

    def __init__(self, spec: MLP | Conv, image: ImageSpec, rho: float, ou_samples: int) -> None:
        super().__init__()
        self.rho, self.ou_samples = rho, ou_samples
        self.shape: tuple[int, ...] = image.shape
        if isinstance(spec, Conv):
            self._convolutional(spec, image)
            return
        pixels, self.shape = image.pixels, (image.pixels,)
        hidden, latents = spec.hidden, spec.widths
        self.posteriors = nn.ModuleList(
            network(below, h, 2 * above) for (below, above), h in zip(pairwise((pixels, *latents)), hidden, strict=True)
        )
        self.priors = nn.ModuleList(
            network(above, h, 2 * below) for (below, above), h in zip(pairwise(latents), hidden[1:], strict=True)
        )
        self.decoder = network(latents[0], hidden[0], pixels)

    def _convolutional(self, spec: Conv, image: ImageSpec) -> None:
        steps, C, f, L = spec.halvings(image), spec.maps[0], spec.filters, spec.layers
        bottom = convolutions(image.shape[0], f, 2 * C, [2] * steps + [1] * max(0, 2 - steps))
        self.posteriors = nn.ModuleList([bottom, *(convolutions(C, f, 2 * C, [1, 1]) for _ in range(L - 1))])
        self.priors = nn.ModuleList(convolutions(C, f, 2 * C, [1, 1]) for _ in range(L - 1))
        self.decoder = convolutions(C, f, image.shape[0], [1, *[-2] * steps])

    def loss(self, x: Tensor) -> Tensor:
        """Return the negative smoothed objective of a minibatch (B, P), in nats per example."""
        x = x.unflatten(1, self.shape)
        qs: list[Normal] = []
        zs = [x]
        for net in self.posteriors:
            qs.append(normal(net, zs[-1]))
            zs.append(qs[-1].loc + qs[-1].scale * torch.randn_like(qs[-1].loc))
        logits = self.decoder(zs[1])
        loss = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(-1)
        for i, net in enumerate(self.priors):
            z, above, q = zs[i + 1], zs[i + 2], qs[i + 1]
            noise = torch.randn(self.ou_samples, *above.shape, dtype=above.dtype, device=above.device)
            copies = self.rho * above + (1 - self.rho) * q.loc + math.sqrt(1 - self.rho**2) * q.scale * noise
            p = normal(net, copies.flatten(0, 1))
            mean, std = (part.unflatten(0, (self.ou_samples, -1)).mean(0) for part in (p.loc, p.scale))
            smoothed = Normal(mean, std, validate_args=False)
            loss = loss + (qs[i].log_prob(z) - smoothed.log_prob(z)).flatten(1).sum(-1)
        standard = Normal(torch.zeros_like(qs[-1].loc), torch.ones_like(qs[-1].scale), validate_args=False)
        return (loss + kl_divergence(qs[-1], standard).flatten(1).sum(-1)).mean()


def steps(model: PlainHVAE, images: Tensor, batch_size: int, device: str, lr: float = 1e-3) -> Iterator[float]:
    """Train without end, one optimiser step at a time; images (N, P) of zeros and ones; yields each step's loss."""
    model.to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
    while True:
        for (x,) in loader:
            loss = model.loss(x.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.item()
