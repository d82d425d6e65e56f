"""A bidirectional-inference VAE (BIVA), stacked over members, in its smallest form.

Every layer below the top has two halves: z_i = (u_i, t_i). Inference finds u_i on the way up and t_i on the way down:

    d_i = f_i(d_{i-1}, u_{i-1}), d_0 = x        q(u_i | x, u_<i) = N(. | d_i)        q(z_L | x, u_<L) = N(. | d_L)
    h_i = g_i(h_{i+1}, z_{i+1})                 q(t_i | x, u_<=i, z_>i) = N(. | d_i, h_i)
    p(z_i | z_>i) = N(. | h_i)                  p(x | z) = p(x | z_1, h_1)

The deterministic path h carries every layer above, as the original's skip connections do.

Simplified: one network where the original has a stack of gated residual blocks; no extra bottom-up path of the
generator's features; u_i and t_i share the units of a layer (the first half, rounded down, is u_i), so that all systems
have latents of the same size. The KL of a lower layer is taken at the sample for u_i, whose layers above depend on it,
and so for both halves.

References
----------
Maaloe et al., BIVA: A Very Deep Hierarchy of Latent Variables for Generative Modeling, 2019 (section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hvae_core.families.base import Shape
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Parts, Rung
from hvae_core.systems.base import rows
from hvae_core.systems.hvae import HVAE


class BIVA(HVAE):
    """M stacked BIVAs.

    posteriors[i]: d_i and u_i's rung -> (d_{i+1}, q(u_{i+1})), the last one q(z_L). sideways[i]: (d_{i+1}, h_{i+1}) ->
    q(t_{i+1}). priors[i]: what h_{i+1} is made of -> (h_{i+1}, p(z_{i+1})).
    """

    def __init__(
        self,
        networks: Networks,
        sideways: Sequence[nn.Module],
        latents: Sequence[Shape],
        image: ImageSpec,
        likelihood: Likelihood,
    ) -> None:
        super().__init__(networks, latents, image, likelihood)
        self.sideways = nn.ModuleList(sideways)

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Find u on the way up and t on the way down; each layer's q and z, layer 1 first."""
        N, halves = noise[0].shape[1], [half(shape) for shape in self.latents]
        read, features, up, us = self.encoded(x), list[Tensor](), list[Normal](), list[Tensor]()
        for i, rung in enumerate(self.posteriors):
            d, q = rung(read)
            q = Normal(rows(q.mean, N), rows(q.std.expand_as(q.mean), N))
            features.append(rows(d, N))
            up.append(q)
            us.append(q.sample(noise[i][:, :, : halves[i]] if i < len(self.priors) else noise[i]))
            read = torch.cat([features[-1], us[-1]], dim=2)
        qs, zs, h = [up[-1]], [us[-1]], None
        for i in reversed(range(len(self.priors))):
            h, _ = self.priors[i](_joined(h, zs[0]))
            down: Normal = self.sideways[i](torch.cat([features[i], h], dim=2))
            t = down.sample(noise[i][:, :, halves[i] :])
            both = [torch.cat(pair, dim=2) for pair in ((up[i].mean, down.mean), (up[i].std, down.std))]
            qs.insert(0, Normal(both[0], both[1]))
            zs.insert(0, torch.cat([us[i], t], dim=2))
        return qs, zs

    def way_down(self, zs: Sequence[Tensor]) -> tuple[list[Callable[[Tensor], Normal]], Tensor]:
        """Return p(z_{i+1} | z_{i+2}, ...) of every layer below the top, as functions of z_{i+2}, and z_1 with h_1."""
        hs = self._path(zs)

        def of(i: int) -> Callable[[Tensor], Normal]:
            further = hs[i + 1] if i + 1 < len(hs) else None

            def conditional(z: Tensor) -> Normal:
                found: Normal = self.priors[i](_joined(None if further is None else rows(further, z.shape[1]), z))[1]
                return found

            return conditional

        return [of(i) for i in range(len(self.priors))], _read(zs, hs)

    def parents(self, zs: Sequence[Tensor]) -> Tensor:
        """Return what the decoder reads: z_1 and h_1."""
        return _read(zs, self._path(zs))

    @torch.no_grad()
    def generate(self, noise: Sequence[Tensor]) -> Tensor:
        """Sample top-down from noise [(M or 1, N, *shape)], layer 1 first; returns E[x | z] (M, N, C, H, W)."""
        members = next(self.parameters()).shape[0]
        zs, h = [self.top.sample(noise[-1].expand(members, *noise[-1].shape[1:]))], None
        for prior, e in zip(reversed(self.priors), reversed(noise[:-1]), strict=True):
            h, p = prior(_joined(h, zs[0]))
            zs.insert(0, p.sample(e))
        return self.likelihood.mean(self.parents(zs))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z] (M, B, C, H, W) for all layers drawn given x (M or 1, B, C, H, W)."""
        return self.likelihood.mean(self.parents(self.infer(x, noise)[1]))

    def _path(self, zs: Sequence[Tensor]) -> list[Tensor]:
        """Return h of every layer below the top, layer 1 first."""
        hs: list[Tensor] = []
        for i in reversed(range(len(self.priors))):
            hs.insert(0, self.priors[i](_joined(hs[0] if hs else None, zs[i + 1]))[0])
        return hs


def _read(zs: Sequence[Tensor], hs: Sequence[Tensor]) -> Tensor:
    return torch.cat([zs[0], hs[0]], dim=2) if hs else zs[0]


def _joined(h: Tensor | None, z: Tensor) -> Tensor:
    return z if h is None else torch.cat([h, z], dim=2)


def half(shape: Shape) -> int:
    """Units or maps of a layer that inference finds on its way up."""
    return shape[0] // 2


def biva(parts: Parts, latents: Sequence[Shape], image: ImageSpec, likelihood: Likelihood) -> tuple[BIVA, Networks]:
    """Build a BIVA from a family's parts, of layers that have two halves."""
    L, units, F = len(latents), [shape[0] for shape in latents], parts.features
    first = [half(shape) for shape in latents]
    trunks = [parts.bottom(), *(parts.trunk(F[i - 1] + first[i - 1], i) for i in range(1, L))]
    upwards = [Rung(trunk, parts.head(i, first[i] if i < L - 1 else units[i])) for i, trunk in enumerate(trunks)]
    sideways = [parts.conditional(2 * F[i], i, units[i] - first[i]) for i in range(L - 1)]
    below = [units[i + 1] + (F[i + 1] if i < L - 2 else 0) for i in range(L - 1)]
    downwards = [Rung(parts.trunk(inputs, i), parts.head(i, units[i])) for i, inputs in enumerate(below)]
    decoder, start = parts.decoder(units[0] + (F[0] if L > 1 else 0))
    networks = Networks(upwards, downwards, decoder, start, parts.one_bias)
    return BIVA(networks, sideways, latents, image, likelihood), networks
