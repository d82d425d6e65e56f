"""From a pass's terms to the loss of each member.

    loss = -( recon - w(t) [ sum_{i<L} KL_i + beta_top KL_L ] )          averaged over the minibatch

With free bits, each layer's minibatch-mean KL is replaced by max(floor, KL_i). With k importance samples the loss
is -log (1/k) sum_j p(x, z_j) / q(z_j | x). If the pass was smoothed, the result is the *smoothed objective*: no
bound, and on either side of the ELBO.

References
----------
Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016 (free bits, on the minibatch).
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
Sonderby et al., Ladder Variational Autoencoders, 2016 (linear warm-up of the KL).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hvae_core.spec import ObjectiveSpec
from hvae_core.systems.base import Terms


class Objective:
    """The objectives of a pack's members, as tensors over the member axis.

    All specs must agree in `kind`; rho, beta_top and the free-bits floor may differ.
    """

    def __init__(self, specs: Sequence[ObjectiveSpec], dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        if len({spec.kind for spec in specs}) != 1:
            raise ValueError("specs: members of one pack must share ou_samples, smoothing, kl_anneal and iwae_k")
        self.anneal, self.iwae_k = specs[0].kl_anneal, specs[0].iwae_k
        self.beta_top = torch.tensor([spec.beta_top for spec in specs], dtype=dtype, device=device)
        floors = [-math.inf if spec.free_bits is None else spec.free_bits for spec in specs]
        self.floor = torch.tensor(floors, dtype=dtype, device=device)

    def loss(self, terms: Terms, step: Tensor) -> Tensor:
        """Loss per member (M,) in nats per example, after `step` () steps.

        A k-sample pass holds its samples as (k, B) along its batch.
        """
        if self.iwae_k > 1:
            log_weight = terms.log_weight.unflatten(1, (self.iwae_k, -1))
            bound: Tensor = log_weight.logsumexp(1) - math.log(self.iwae_k)
            return -bound.mean(1)
        layers = terms.kl.mean(-1).maximum(self.floor)  # (L, M)
        divergence = layers[:-1].sum(0) + self.beta_top * layers[-1]
        return -(terms.recon.mean(-1) - self.kl_weight(step) * divergence)

    def kl_weight(self, step: Tensor) -> Tensor | float:
        """w(t) of `spec.kl_weight` for a step () that stays on its device."""
        if self.anneal is None:
            return 1.0
        start, ramp = self.anneal
        return ((step.double() - start) / ramp).clamp(0, 1)
