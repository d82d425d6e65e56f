from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import HermiteE, hermegauss
from torch import Tensor

from hvae_core.networks.normal import Normal
from hvae_core.spec import retained_variance
from hvae_core.systems.smoothing import OrnsteinUhlenbeck, correlated

MU, SIGMA = 0.7, 1.6


def hermite(n: int, u: Tensor) -> Tensor:
    """Evaluate the normalised probabilists' Hermite polynomial h_n."""
    return torch.from_numpy(HermiteE.basis(n)(u.numpy()) / math.sqrt(math.factorial(n)))


def standardise(z: Tensor) -> Tensor:
    return (z - MU) / SIGMA


def space(*shape: int) -> Normal:
    return Normal(torch.full(shape, MU, dtype=torch.float64), torch.full(shape, SIGMA, dtype=torch.float64))


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9, 1.0])
def test_u_rho_scales_hermite_polynomials_exactly(n: int, rho: float) -> None:
    """U_rho h_n = rho^n h_n, the average over noise taken by Gauss-Hermite quadrature."""
    nodes, weights = hermegauss(12)
    z = space(1, 50, 1).sample(normals(0, 1, 50, 1))
    noise = torch.from_numpy(nodes).view(1, -1, 1, 1).expand(1, -1, 50, 1)
    copies = correlated(z, space(1, 50, 1), torch.tensor([rho], dtype=torch.float64), noise)
    average = torch.einsum("k,mkbd->mbd", torch.from_numpy(weights / weights.sum()), hermite(n, standardise(copies)))
    torch.testing.assert_close(average, rho**n * hermite(n, standardise(z)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_u_rho_scales_hermite_polynomials_by_monte_carlo(n: int) -> None:
    rho, K = 0.8, 40_000
    z = space(1, 5, 1).sample(torch.linspace(-1.5, 1.5, 5, dtype=torch.float64).view(1, 5, 1))
    copies = correlated(z, space(1, 5, 1), torch.tensor([rho], dtype=torch.float64), normals(1, 1, K, 5, 1))
    values = hermite(n, standardise(copies))
    error = values.std(1) / math.sqrt(K)
    assert ((values.mean(1) - rho**n * hermite(n, standardise(z))).abs() < 4.5 * error).all()


@pytest.mark.parametrize(("rho", "K"), [(0.5, 1), (0.5, 5), (0.9, 2), (0.0, 4), (1.0, 3)])
@pytest.mark.parametrize("n", [1, 2])
def test_mean_is_kept_and_variance_obeys_the_finite_k_law(rho: float, K: int, n: int) -> None:
    B = 100_000
    z = space(1, B, 1).sample(normals(2, 1, B, 1))
    copies = correlated(z, space(1, B, 1), torch.tensor([rho], dtype=torch.float64), normals(3, 1, K, B, 1))
    average = hermite(n, standardise(copies)).mean(1).flatten()
    assert abs(float(average.mean())) < 4.5 * float(average.std()) / math.sqrt(B)
    error = float((average.square()).std()) / math.sqrt(B)
    assert abs(float(average.square().mean()) - retained_variance(rho, K, n)) < 4.5 * error


@given(st.floats(0, 1), st.integers(1, 50), st.integers(1, 5))
def test_finite_k_law_has_the_right_limits(rho: float, K: int, n: int) -> None:
    share = retained_variance(rho, K, n)
    assert 1 / K - 1e-12 <= share <= 1 + 1e-12
    assert retained_variance(rho, 1, n) == pytest.approx(1)
    assert retained_variance(1, K, n) == pytest.approx(1)
    assert retained_variance(rho, 10**12, n) == pytest.approx(rho ** (2 * n), abs=1e-9)


def test_semigroup() -> None:
    """U_a U_b = U_ab, on a function that is no polynomial, by nested quadrature."""
    nodes, weights = (torch.from_numpy(a) for a in hermegauss(60))
    weights = weights / weights.sum()
    q = space(1, 1, 1)

    def apply(rho: float, f, z: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        copies = correlated(z, q, torch.tensor([rho], dtype=torch.float64), nodes.view(1, -1, 1, 1))
        return torch.stack([w * f(c) for w, c in zip(weights, copies.unbind(1), strict=True)]).sum(0)

    z = torch.tensor([[[2.1]]], dtype=torch.float64)
    once = apply(0.8 * 0.6, torch.tanh, z)
    twice = apply(0.8, lambda c: apply(0.6, torch.tanh, c), z)
    torch.testing.assert_close(twice, once, rtol=1e-7, atol=1e-7)


def test_copies_share_the_noise_of_z() -> None:
    """Correlation rho with z and rho^2 with each other; redrawing z's own noise for every copy gives 0 and 0."""
    B, rho = 100_000, 0.9
    z = space(1, B, 1).sample(normals(4, 1, B, 1))
    copies = correlated(z, space(1, B, 1), torch.tensor([rho], dtype=torch.float64), normals(5, 1, 2, B, 1))
    table = np.corrcoef(np.stack([z.flatten().numpy(), *copies[0, :, :, 0].numpy()]))
    assert table[0, 1:] == pytest.approx([rho, rho], abs=0.01)
    assert table[1, 2] == pytest.approx(rho**2, abs=0.01)
    assert copies.var(2).flatten().tolist() == pytest.approx([SIGMA**2] * 2, rel=0.02)


def test_forms() -> None:
    """mean_std averages mu and sigma over the copies; ratio scales the average of mu/sigma by sigma at z itself."""
    q = space(2, 3, 4)
    z, noise = q.sample(normals(6, 2, 3, 4)), normals(7, 1, 5, 3, 4)
    rho = torch.tensor([0.4, 0.9], dtype=torch.float64)

    def conditional(c: Tensor) -> Normal:
        return Normal(c.sin(), 1 + c.square())

    copies = correlated(z, q, rho, noise)
    smoothed = OrnsteinUhlenbeck(rho).smooth(conditional, z, q, noise)
    torch.testing.assert_close(smoothed.mean, copies.sin().mean(1))
    torch.testing.assert_close(smoothed.std, (1 + copies.square()).mean(1))
    ratio = OrnsteinUhlenbeck(rho, "ratio").smooth(conditional, z, q, noise)
    torch.testing.assert_close(ratio.std, 1 + z.square())
    torch.testing.assert_close(ratio.mean, (1 + z.square()) * (copies.sin() / (1 + copies.square())).mean(1))


def test_rho_one_needs_no_noise_and_rho_zero_forgets_z() -> None:
    q = space(2, 3, 4)
    z, noise = q.sample(normals(8, 2, 3, 4)), normals(9, 1, 2, 3, 4)
    copies = correlated(z, q, torch.tensor([1.0, 0.0], dtype=torch.float64), noise)
    torch.testing.assert_close(copies[0], z[0].expand(2, -1, -1))
    torch.testing.assert_close(copies[1], MU + SIGMA * noise[0])
