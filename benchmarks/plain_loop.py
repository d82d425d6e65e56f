"""What one would write without stacking: one eager model per process, a DataLoader, the default Adam.

The same model, objective and batch as a pack of one member, for `pack_step.py` to compare with: MLP, plain
convolutional and residual hierarchies (without skips). Images of 256 levels have the package's likelihood.
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
from hvae_core.families.resnet import ResNet
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import likelihood_of
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


class Residual(nn.Module):
    """x + conv(elu(conv(elu(x))))."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(filters, filters, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = x + self.second(F.elu(self.first(F.elu(x))))
        return out


def residuals(inputs: int, filters: int, outputs: int, blocks: int, down: int = 0, up: int = 0) -> nn.Sequential:
    """Build a convolution, halvings, blocks, doublings and an output convolution."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, filters, 3, 2 if down else 1, padding=1)]
    for _ in range(down - 1):
        layers += [nn.ELU(), nn.Conv2d(filters, filters, 3, 2, padding=1)]
    layers += [Residual(filters) for _ in range(blocks)]
    for _ in range(up):
        layers += [nn.ELU(), nn.Upsample(scale_factor=2), nn.Conv2d(filters, filters, 3, padding=1)]
    return nn.Sequential(*layers, nn.ELU(), nn.Conv2d(filters, outputs, 3, padding=1))


def normal(net: nn.Module, x: Tensor) -> Normal:
    """Return the conditional normal that a network gives, on vectors (B, D) or maps (B, C, H, W)."""
    mean, s = net(x).chunk(2, dim=1)
    return Normal(mean, F.softplus(s + SOFTPLUS_SHIFT) + SIGMA_FLOOR, validate_args=False)


class PlainHVAE(nn.Module):
    """One hierarchical VAE with a smoothed generator."""

    def __init__(self, spec: MLP | Conv | ResNet, image: ImageSpec, rho: float, ou_samples: int, mixture: int = 1):
        super().__init__()
        self.rho, self.ou_samples, self.likelihood = rho, ou_samples, likelihood_of(image, mixture)
        self.levels = image.levels
        self.shape: tuple[int, ...] = image.shape
        if not isinstance(spec, MLP):
            self._maps(spec, image)
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

    def _maps(self, spec: Conv | ResNet, image: ImageSpec) -> None:
        steps, C, f, L, outputs = spec.halvings(image), spec.maps[0], spec.filters, spec.layers, self.likelihood.outputs
        if isinstance(spec, ResNet):
            bottom = residuals(image.shape[0], f, 2 * C, spec.blocks, down=steps)
            upper, priors = ([residuals(C, f, 2 * C, spec.blocks) for _ in range(L - 1)] for _ in range(2))
            self.posteriors, self.priors = nn.ModuleList([bottom, *upper]), nn.ModuleList(priors)
            self.decoder = residuals(C, f, outputs, spec.blocks, up=steps)
            return
        bottom = convolutions(image.shape[0], f, 2 * C, [2] * steps + [1] * max(0, 2 - steps))
        self.posteriors = nn.ModuleList([bottom, *(convolutions(C, f, 2 * C, [1, 1]) for _ in range(L - 1))])
        self.priors = nn.ModuleList(convolutions(C, f, 2 * C, [1, 1]) for _ in range(L - 1))
        self.decoder = convolutions(C, f, outputs, [1, *[-2] * steps])

    def loss(self, x: Tensor) -> Tensor:
        """Return the negative smoothed objective of a minibatch (B, P), in nats per example."""
        x = x.unflatten(1, self.shape)
        qs: list[Normal] = []
        zs = [x if self.levels == 2 else x * (2 / 255) - 1]
        for net in self.posteriors:
            qs.append(normal(net, zs[-1]))
            zs.append(qs[-1].loc + qs[-1].scale * torch.randn_like(qs[-1].loc))
        out = self.decoder(zs[1])
        if self.levels == 2:
            loss = F.binary_cross_entropy_with_logits(out, x, reduction="none").flatten(1).sum(-1)
        else:
            loss = -self.likelihood.log_prob(x.unsqueeze(0), out.unsqueeze(0))[0]
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
    """Train without end, one optimiser step at a time; images (N, P); yields each step's loss."""
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
