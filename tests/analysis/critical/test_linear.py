"""The closed form of the linear model, against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis.critical.linear import critical_rho, top_kl
from hvae_core.spec import retained_variance


@pytest.mark.parametrize("ratio", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("K", [3, 5, 20])
@pytest.mark.parametrize("beta", [1.0, 0.8])
def test_it_is_the_maximum_of_the_objective(ratio: float, K: int, beta: float) -> None:
    for rho in (0.3, 0.6, 0.85):
        c = retained_variance(rho, K)
        objective = lambda w: 0.5 * (ratio / (1 + w) + beta * math.log(1 + c * w))  # noqa: B023, E731
        w = minimize_scalar(objective, bounds=(0, 50), method="bounded", options={"xatol": 1e-11}).x
        spread, weight = 1 / (1 + c * w), beta * w  # s = 1: W^2 = beta w
        kl = 0.5 * (weight * ratio / (beta + weight) ** 2 + spread - 1 - math.log(spread))
        assert top_kl(np.array([rho]), [ratio], K, beta)[0] == pytest.approx(kl, abs=1e-6)


@pytest.mark.parametrize(("ratio", "K", "rho"), [(0.6, 5, 0.7071), (0.8, 5, 0.8660), (0.8, 10, 0.8819)])
def test_known_thresholds(ratio: float, K: int, rho: float) -> None:
    assert critical_rho(ratio, K) == pytest.approx(rho, abs=5e-5)
    around = top_kl(np.array([critical_rho(ratio, K) - 1e-4, critical_rho(ratio, K) + 1e-4]), [ratio], K)
    assert around[0] > 0
    assert around[1] == 0
    assert around[0] / 1e-4 == pytest.approx(critical_rho(ratio, K) * (1 - 1 / K) / (2 - ratio), rel=1e-2)


def test_ends() -> None:
    assert critical_rho(0.1, 5) == 0
    assert critical_rho(1.2, 5) == 1
    assert (critical_rho(0.5, 1), critical_rho(2, 1)) == (0, 1)
    assert top_kl(np.array([0.6571]), [0.6], 5)[0] == pytest.approx(0.0183, abs=1e-4)
