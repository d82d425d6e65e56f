r"""The two-layer linear-Gaussian model, solved: the control that every estimator is held against.

    z1 of variance lambda, p(z1|z2) = N(W z2, s^2) with s fixed, q(z2|z1) = N(V z1, t^2), r = lambda / s^2
    c = rho^2 (1 - 1/K) + 1/K, weight beta on the top KL

The top layer is in use where r > beta c, hence below rho_c = sqrt((r/beta - 1/K) / (1 - 1/K)). There w = W^2/(beta s^2)
maximises -1/2 [r/(1 + w) + beta log(1 + c w)], so that r (1 + c w) = beta c (1 + w)^2, and

    t^2 = 1/(1 + c w),  V = W/(beta s^2 + W^2),  top KL = 1/2 [V^2 lambda + t^2 - 1 - log t^2]      nats per mode

Several modes are independent: the top KL is their sum, and each has a threshold of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.critical.kink import Floats
from hvae_core.spec import retained_variance


def critical_rho(ratio: float, K: int, beta: float = 1.0) -> float:
    """rho_c of one mode with r = ratio; 0 where it is unused at every rho, 1 where it is used at every rho."""
    if K == 1:
        return float(ratio > beta)
    squared = (ratio / beta - 1 / K) / (1 - 1 / K)
    return math.sqrt(min(max(squared, 0.0), 1.0))


def top_kl(rho: Floats, ratios: Sequence[float], K: int, beta: float = 1.0) -> Floats:
    """Top KL in nats (R,) of the trained model with these modes at rho (R,)."""
    c = np.array([retained_variance(float(value), K) for value in rho])[:, None]
    r = np.array(ratios)[None] / beta
    # r (1 + c w) = c (1 + w)^2 is w^2 + (2 - r) w + 1 - r/c = 0
    w = np.where(r > c, (r - 2 + np.sqrt(np.maximum((2 - r) ** 2 + 4 * (r / c - 1), 0))) / 2, 0)
    spread = 1 / (1 + c * w)
    # V^2 lambda = W^2 lambda / (beta s^2 + W^2)^2 = w r / (1 + w)^2 with r = lambda / (beta s^2)
    each = 0.5 * (w * r / (1 + w) ** 2 + spread - 1 - np.log(spread))
    total: Floats = np.where(r > c, each, 0).sum(axis=1)
    return total
