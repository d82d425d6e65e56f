"""The hierarchical VAE of the paper's section 2, stacked over members.

    q(z|x) = q(z_1|x) prod_i q(z_{i+1}|z_i)              inference, bottom-up
    p(x,z) = p(x|z_1) p(z_L) prod_i p(z_i|z_{i+1})       generation, top-down, p(z_L) = N(0, I)

    ELBO = E_q[ log p(x|z_1) - sum_{i<L} (log q(z_i|z_{i-1}) - log p(z_i|z_{i+1})) - KL(q(z_L|z_{L-1}) to N(0, I)) ]

A lower layer's term is taken **at the sampled z_i**: z_{i+1} was drawn given z_i, so the closed-form KL between the
two normals at a sampled z_{i+1} is biased.

References
----------
Pervez and Gavves, Variance Reduction in Hierarchical Variational Autoencoders, 2020.
Sonderby et al., Ladder Variational Autoencoders, 2016 (the serial hierarchy).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hvae_core.families.mlp import ModelSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.likelihoods.bernoulli import BernoulliNetwork
from hvae_core.networks.mlp import NormalNetwork
from hvae_core.networks.normal import Normal, kl, standard_like
from hvae_core.networks.stacked import glorot_uniform
from hvae_core.systems.base import Noise, Terms
from hvae_core.systems.smoothing import OrnsteinUhlenbeck


class HVAE(nn.Module):
    """M stacked hierarchical VAEs.

    posteriors[i] gives q(z_{i+1} | z_i) with z_0 = x; priors[i] gives p(z_{i+1} | z_{i+2}), one fewer; each maps
    (M, N, D_in) to a Normal on (M, N, D_out). The likelihood gives p(x | z_1).
    """

    def __init__(self, posteriors: Sequence[nn.Module], priors: Sequence[nn.Module], likelihood: Likelihood) -> None:
        super().__init__()
        if len(priors) != len(posteriors) - 1:
            raise ValueError(f"priors: {len(priors)} given; it must be one fewer than the {len(posteriors)} posteriors")
        self.posteriors = nn.ModuleList(posteriors)
        self.priors = nn.ModuleList(priors)
        self.likelihood = likelihood

    @classmethod
    def build(cls, spec: ModelSpec, pixel_mean: Tensor, seeds: Sequence[int]) -> HVAE:
        """Build one member per seed, with Glorot weights and the decoder's bias at the data's pixel mean (P,)."""
        M, pixels = len(seeds), len(pixel_mean)
        below = (pixels, *spec.latents[:-1])
        layers = list(zip(below, spec.hidden, spec.latents, strict=True))
        likelihood = BernoulliNetwork(M, spec.latents[0], spec.hidden[0], pixels)
        model = cls(
            [NormalNetwork(M, lower, hidden, upper) for lower, hidden, upper in layers],
            [NormalNetwork(M, upper, hidden, lower) for lower, hidden, upper in layers[1:]],
            likelihood,
        ).to(pixel_mean.dtype)
        glorot_uniform(model, seeds)
        likelihood.set_pixel_mean(pixel_mean)
        return model

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Sample bottom-up: x (M or 1, B, P) -> [q(z_i | z_{i-1})] and [z_i (M, N, D_i)], layer 1 first.

        Noise (M or 1, N, D_i) for N = k B rows takes k samples of each example, as (k, B) along the rows.
        """
        q: Normal = self.posteriors[0](x)
        N = noise[0].shape[1]
        qs = [Normal(_rows(q.mean, N), _rows(q.std, N))]
        zs = [qs[0].sample(noise[0])]
        for posterior, e in zip(self.posteriors[1:], noise[1:], strict=True):
            qs.append(posterior(zs[-1]))
            zs.append(qs[-1].sample(e))
        return qs, zs

    def forward(self, x: Tensor, noise: Noise, smoothing: OrnsteinUhlenbeck | None = None) -> Terms:
        """Return the terms of one pass over x (M or 1, B, P), with the generator's conditionals smoothed if asked.

        With noise for k B rows, those of k samples of each example (see `infer`).
        """
        qs, zs = self.infer(x, noise.posterior)
        terms: list[Tensor] = []
        for i, prior in enumerate(self.priors):
            q, above = qs[i], zs[i + 1]
            p = prior(above) if smoothing is None else smoothing.smooth(prior, above, qs[i + 1], noise.ou[i])
            terms.append(q.log_prob(zs[i]) - p.log_prob(zs[i]))
        standard = standard_like(qs[-1])
        terms.append(kl(qs[-1], standard))
        top_ratio = qs[-1].log_prob(zs[-1]) - standard.log_prob(zs[-1])
        recon = self.likelihood.log_prob(_rows(x, zs[0].shape[1]), zs[0])
        return Terms(recon, torch.stack(terms), top_ratio)

    @torch.no_grad()
    def generate(self, noise: Sequence[Tensor]) -> Tensor:
        """Sample top-down from noise [(M or 1, N, D_i)], layer 1 first; returns E[x | z_1] (M, N, P)."""
        z = noise[-1].expand(next(self.parameters()).shape[0], -1, -1)
        for prior, e in zip(reversed(self.priors), reversed(noise[:-1]), strict=True):
            z = prior(z).sample(e)
        return self.likelihood.mean(z)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z_1] (M, B, P) for a z_1 drawn given x (M or 1, B, P)."""
        z = self.posteriors[0](x).sample(noise[0])
        return self.likelihood.mean(z)


def _rows(x: Tensor, count: int) -> Tensor:
    """Repeat the rows of x (M, B, P) until there are `count`."""
    return x if x.shape[1] == count else x.repeat(1, count // x.shape[1], 1)
