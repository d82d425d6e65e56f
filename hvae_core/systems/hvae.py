"""The hierarchical VAE of the paper's section 2, stacked over members.

    q(z|x) = q(z_1|x) prod_i q(z_{i+1}|z_i)              inference, bottom-up
    p(x,z) = p(x|z_1) p(z_L) prod_i p(z_i|z_{i+1})       generation, top-down, p(z_L) = N(0, I)

    ELBO = E_q[ log p(x|z_1) - sum_{i<L} (log q(z_i|z_{i-1}) - log p(z_i|z_{i+1})) - KL(q(z_L|z_{L-1}) to N(0, I)) ]

With skip connections p(z_i | z_{i+1}, ..., z_L) and p(x | z_1, ..., z_L) read all layers above. Smoothing still acts on
what depends on z_{i+1} alone: its copies meet the other parents as they were drawn (the paper does not say; ours).

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
from torch import Tensor

from hvae_core.families.base import Shape
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal, kl
from hvae_core.systems.base import Noise, System, Terms, rows
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.systems.top_prior import StandardNormal, TopPrior


class HVAE(System):
    """M stacked hierarchical VAEs.

    posteriors[i] gives q(z_{i+1} | z_i) with z_0 = x; priors[i] gives p(z_{i+1} | z_{i+2}), one fewer; top gives
    p(z_L). The likelihood gives p(x | z_1).
    """

    def __init__(
        self,
        networks: Networks,
        latents: Sequence[Shape],
        image: ImageSpec,
        likelihood: Likelihood,
        top: TopPrior | None = None,
    ) -> None:
        super().__init__(networks, latents, image, likelihood)
        self.top = top or StandardNormal()

    closed_form = False  # whether the KL of a lower layer is, given the layers above it

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Sample bottom-up: x (M or 1, B, C, H, W) -> [q(z_i | z_{i-1})] and [z_i (M, N, *shape)], layer 1 first.

        Noise (M or 1, N, *shape) for N = k B rows takes k samples of each example, as (k, B) along the rows.
        """
        q: Normal = self.posteriors[0](self.encoded(x))
        N = noise[0].shape[1]
        qs = [Normal(rows(q.mean, N), rows(q.std, N))]
        zs = [qs[0].sample(noise[0])]
        for posterior, e in zip(self.posteriors[1:], noise[1:], strict=True):
            qs.append(posterior(zs[-1]))
            zs.append(qs[-1].sample(e))
        return qs, zs

    def forward(self, x: Tensor, noise: Noise, smoothing: OrnsteinUhlenbeck | None = None) -> Terms:
        """Return the terms of one pass over x (M or 1, B, C, H, W), with the conditionals smoothed if asked.

        With noise for k B rows, those of k samples of each example (see `infer`).
        """
        qs, zs = self.infer(x, noise.posterior)
        priors, read = self.way_down(zs)
        ratios, kls = list[Tensor](), list[Tensor]()
        for i, prior in enumerate(priors):
            above = zs[i + 1]
            p = prior(above) if smoothing is None else smoothing.smooth(prior, above, qs[i + 1], noise.ou[i])
            ratios.append(qs[i].log_prob(zs[i]) - p.log_prob(zs[i]))
            kls.append(kl(qs[i], p) if self.closed_form else ratios[-1])
        ratios.append(qs[-1].log_prob(zs[-1]) - self.top.log_prob(zs[-1]))
        exact = self.top.kl(qs[-1])
        kls.append(ratios[-1] if exact is None else exact)
        recon = self.likelihood.log_prob(rows(x, zs[0].shape[1]), read)
        return Terms(recon, torch.stack(kls), torch.stack(ratios))

    @torch.no_grad()
    def generate(self, noise: Sequence[Tensor]) -> Tensor:
        """Sample top-down from noise [(M or 1, N, *shape)], layer 1 first; returns E[x | z_1] (M, N, C, H, W)."""
        members = next(self.parameters()).shape[0]
        zs = [self.top.sample(noise[-1].expand(members, *noise[-1].shape[1:]))]
        for prior, e in zip(reversed(self.priors), reversed(noise[:-1]), strict=True):
            zs.insert(0, prior(self.parents(zs)).sample(e))
        return self.likelihood.mean(self.parents(zs))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z_1] (M, B, C, H, W) for a z_1 drawn given x (M or 1, B, C, H, W); with skips, for all layers drawn."""
        zs = self.infer(x, noise)[1] if self.skip else [self.posteriors[0](self.encoded(x)).sample(noise[0])]
        return self.likelihood.mean(self.parents(zs))
