"""The Ornstein-Uhlenbeck semigroup on a layer's Gaussian space, by Monte Carlo.

For z ~ N(mu, sigma^2) and standard normal noise e,

    z' = rho z + (1 - rho) mu + sqrt(1 - rho^2) sigma e,        U_rho f(z) = E[f(z') | z].

z's own noise is shared by its K copies: a copy that redrew it would make rho do nothing. The average of K copies
keeps f's mean and, in a Hermite expansion with coefficients c_n, leaves of its variance

    sum_n c_n^2 [ rho^(2n) (1 - 1/K) + 1/K ]        (`spec.retained_variance`),

so that K matters as much as rho, and K = 1 smooths nothing in expectation.

References
----------
Pervez and Gavves, Variance Reduction in Hierarchical Variational Autoencoders, 2020, sections 2.1 and 2.2.
O'Donnell, Analysis of Boolean Functions, 2014, chapter 11. The finite-K law is derived in the project's notes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hvae_core.networks.normal import Normal
from hvae_core.spec import Smoothing


def correlated(z: Tensor, q: Normal, rho: Tensor, noise: Tensor) -> Tensor:
    """Draw K copies z' (M, K, B, *shape) of z ~ q with correlation rho (M,).

    z is (M, B, *shape), noise (M or 1, K, B, *shape).
    """
    r = rho.view(-1, *[1] * (z.dim() - 1))
    centre = r * z + (1 - r) * q.mean
    spread = ((1 - r) * (1 + r)).sqrt() * q.std  # (1 - r)(1 + r): exact near r = 1, where 1 - r^2 cancels
    return torch.addcmul(centre.unsqueeze(1), spread.unsqueeze(1), noise)


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """U_rho for a pack: rho (M,), one value per member; the form says which functions it acts on.

    mean_std: U_rho[mu] and U_rho[sigma], the paper's main form.
    ratio: mean = sigma(z) U_rho[mu/sigma](z) with sigma itself unsmoothed, our reading of the paper's alternative.
    """

    rho: Tensor
    form: Smoothing = "mean_std"

    def smooth(self, conditional: Callable[[Tensor], Normal], z: Tensor, q: Normal, noise: Tensor) -> Normal:
        """Return the smoothed p(. | z) of a conditional.

        z (M, B, *shape) was drawn from q; noise is (M or 1, K, B, *shape); the conditional maps N rows to a Normal on
        N rows.
        """
        copies = correlated(z, q, self.rho, noise)
        K, B = copies.shape[1:3]
        if self.form == "mean_std":
            p = conditional(copies.flatten(1, 2))
            return Normal(p.mean.unflatten(1, (K, B)).mean(1), p.std.unflatten(1, (K, B)).mean(1))
        p = conditional(torch.cat([z, copies.flatten(1, 2)], dim=1))
        std = p.std[:, :B]
        ratio = (p.mean[:, B:] / p.std[:, B:]).unflatten(1, (K, B)).mean(1)
        return Normal(std * ratio, std)
