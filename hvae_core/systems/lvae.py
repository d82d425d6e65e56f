"""The ladder VAE, stacked over members: inference shares the generator's way down.

    d_i = f_i(d_{i-1}), d_0 = x                                              deterministic, bottom-up
    q(z_L | x) = N(mu_L(d_L), s_L(d_L)^2)
    q(z_i | z_{i+1}, x) = the product of N(mu_i(d_i), s_i(d_i)^2) and p(z_i | z_{i+1}), normalised

so that precisions add and means are weighted by them. Here z_{i+1} is drawn before z_i, and the KL of a layer given
what lies above it is taken in closed form. With `skip` (LVAE+) the generator reads all layers above.

Ours: no batch normalisation (it couples examples, and the copies of smoothing), warm-up only if the objective asks for
it. Where the generator is smoothed in training, its smoothed form enters the KL alone; the product that is sampled
from has p as it is.

References
----------
Sonderby et al., Ladder Variational Autoencoders, 2016 (equations 8 to 12).
Maaloe et al., BIVA, 2019 (LVAE+, the ladder with skip connections).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hvae_core.families.base import Shape
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Parts, Rung
from hvae_core.systems.base import rows
from hvae_core.systems.hvae import HVAE


def merged(seen: Normal, p: Normal) -> Normal:
    """Return the normalised product of two normals: precisions add, means are weighted by precision."""
    spread = seen.std.square() + p.std.square()
    return Normal(p.mean + (p.std.square() / spread) * (seen.mean - p.mean), seen.std * p.std / spread.sqrt())


class LadderVAE(HVAE):
    """M stacked ladder VAEs: posteriors[i] gives d_{i+1} and what it says of z_{i+1}, priors[i] p(z_{i+1} | above)."""

    closed_form = True

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Go up to the top and down again; each layer's q and z, layer 1 first."""
        N, seen, features = noise[0].shape[1], list[Normal](), self.encoded(x)
        for rung in self.posteriors:
            features, normal = rung(features)
            seen.append(Normal(rows(normal.mean, N), rows(normal.std.expand_as(normal.mean), N)))
        qs = [seen[-1]]
        zs = [qs[0].sample(noise[-1])]
        for i in reversed(range(len(self.priors))):
            qs.insert(0, merged(seen[i], self.priors[i](self.parents(zs))))
            zs.insert(0, qs[0].sample(noise[i]))
        return qs, zs

    @torch.no_grad()
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z_1] (M, B, C, H, W) for all layers drawn given x (M or 1, B, C, H, W)."""
        return self.likelihood.mean(self.parents(self.infer(x, noise)[1]))


def ladder_networks(parts: Parts, latents: Sequence[Shape], skip: bool) -> Networks:
    """Build a ladder's networks from a family's parts."""
    L, units, F = len(latents), [shape[0] for shape in latents], parts.features
    trunks = [parts.bottom(), *(parts.trunk(F[i - 1], i) for i in range(1, L))]
    rungs = [Rung(trunk, parts.head(i, units[i])) for i, trunk in enumerate(trunks)]

    def above(i: int) -> int:
        return sum(units[i:] if skip else units[i : i + 1])

    priors = [parts.conditional(above(i + 1), i, units[i]) for i in range(L - 1)]
    decoder, start = parts.decoder(above(0))
    return Networks(rungs, priors, decoder, start, parts.one_bias, skip)
