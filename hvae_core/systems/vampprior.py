"""VAEs whose top prior is a mixture of posteriors at learned pseudo-inputs, stacked over members.

    p(z_L) = (1/K) sum_k q(z_L | u_k),      u_k an image that is learned, its values held in [0, 1]

    one layer      q(z_1 | x)                   p(x | z_1)
    two layers     q(z_2 | x) q(z_1 | x, z_2)   p(z_1 | z_2) p(x | z_1, z_2)

The second is the authors' hierarchical form, whose inference goes from the top down; deeper ones they do not have, and
neither has this. log p(z_L) is a log-sum-exp over the components, and the top KL its sampled ratio: there is no closed
form. The KL of layer 1 given z_2 is taken in closed form.

Ours: pseudo-inputs start as training images, chosen by the seed; for images of 256 levels they are shares of 255.

References
----------
Tomczak and Welling, VAE with a VampPrior, 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hvae_core.families.base import Shape
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Parts
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import rows
from hvae_core.systems.hvae import HVAE
from hvae_core.systems.top_prior import TopPrior

DIGITS = 1000.0  # of the sum of a draw's noise, whose fraction chooses the component


class MixtureOfPosteriors(TopPrior):
    """(1/K) sum_k N(mean_k, std_k^2); components() gives the Normal on (M, K, *shape)."""

    def __init__(self, components: Callable[[], Normal]) -> None:
        self.components = components

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density at z (M, N, *shape); returns (M, N) in nats."""
        q, points = self.components(), z.flatten(2).unsqueeze(2)  # (M, N, 1, D) against (M, 1, K, D)
        mean, std = (part.flatten(2).unsqueeze(1) for part in (q.mean, q.std.expand_as(q.mean)))
        scaled = (points - mean) / std
        constant = std.log().sum(-1) + 0.5 * math.log(2 * math.pi) * points.shape[-1]
        each = -0.5 * scaled.square().sum(-1) - constant
        found: Tensor = each.logsumexp(2) - math.log(each.shape[2])
        return found

    def sample(self, noise: Tensor) -> Tensor:
        """Draw z_L (M, N, *shape) of the component that digits of the noise choose which the draw does not notice."""
        q = self.components()
        M, N, K = q.mean.shape[0], noise.shape[1], q.mean.shape[1]
        noise = noise.expand(M, *noise.shape[1:])
        share = (noise.flatten(2).sum(-1).double() * DIGITS).remainder(1.0)
        chosen = (share * K).long().clamp(max=K - 1).view(M, N, *[1] * (noise.dim() - 2)).expand_as(noise)
        return Normal(q.mean.gather(1, chosen), q.std.expand_as(q.mean).gather(1, chosen)).sample(noise)

    def kl(self, q: Normal) -> Tensor | None:
        """There is none in closed form."""
        return None


class VampPriorVAE(HVAE):
    """M stacked models of one or two layers.

    features: image -> what posteriors read; posteriors[-1]: features -> q(z_L | x); with two layers posteriors[0]:
    features and z_2 -> q(z_1 | x, z_2).
    """

    closed_form = True

    def __init__(
        self,
        networks: Networks,
        features: nn.Module,
        latents: Sequence[Shape],
        image: ImageSpec,
        likelihood: Likelihood,
        members: int,
        pseudo_inputs: int,
    ) -> None:
        super().__init__(networks, latents, image, likelihood, MixtureOfPosteriors(self._components))
        self.features = features
        self.pseudo_inputs = nn.Parameter(torch.zeros(members, pseudo_inputs, *image.shape))

    @torch.no_grad()
    def start(self, images: Tensor, highest: int, seeds: Sequence[int]) -> None:
        """Start the pseudo-inputs at training images (N, C, H, W) with values 0..highest, chosen by each seed."""
        chosen = SeedStreams(seeds, "pseudo-inputs").integers(len(images), self.pseudo_inputs.shape[1])
        found = images[chosen].to(self.pseudo_inputs.dtype) / highest
        self.pseudo_inputs.copy_(found.expand_as(self.pseudo_inputs))

    def _components(self) -> Normal:
        zero = self.pseudo_inputs.new_zeros(())
        shares = self.pseudo_inputs.maximum(zero).minimum(zero + 1)  # clamp, recorded by a CUDA graph without a copy
        found: Normal = self.posteriors[-1](self.features(self.encoded(shares * (self.image.levels - 1))))
        return found

    def infer(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[list[Normal], list[Tensor]]:
        """Sample z_L given x, and then what lies below; each layer's q and z, layer 1 first."""
        N, features = noise[0].shape[1], self.features(self.encoded(x))
        q: Normal = self.posteriors[-1](features)
        qs = [Normal(rows(q.mean, N), rows(q.std, N))]
        zs = [qs[0].sample(noise[-1])]
        if len(self.priors):
            qs.insert(0, self.posteriors[0](torch.cat([rows(features, N), zs[0]], dim=2)))
            zs.insert(0, qs[0].sample(noise[0]))
        return qs, zs

    @torch.no_grad()
    def reconstruct(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """E[x | z] (M, B, C, H, W) for all layers drawn given x (M or 1, B, C, H, W)."""
        return self.likelihood.mean(self.parents(self.infer(x, noise)[1]))


def vampprior(
    parts: Parts,
    latents: Sequence[Shape],
    image: ImageSpec,
    likelihood: Likelihood,
    members: int,
    pseudo_inputs: int,
) -> tuple[VampPriorVAE, Networks]:
    """Build one of one or two layers from a family's parts."""
    units, F = [shape[0] for shape in latents], parts.features
    if len(units) == 1:
        posteriors, priors = [parts.head(0, units[0])], []
    else:
        top = parts.conditional(F[0], 1, units[1])
        posteriors, priors = (
            [parts.conditional(F[0] + units[1], 0, units[0]), top],
            [parts.conditional(units[1], 0, units[0])],
        )
    decoder, start = parts.decoder(sum(units))
    networks = Networks(posteriors, priors, decoder, start, parts.one_bias, skip=True)
    system = VampPriorVAE(networks, parts.bottom(), latents, image, likelihood, members, pseudo_inputs)
    return system, networks
