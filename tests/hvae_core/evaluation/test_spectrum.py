"""The Hermite spectrum of polynomials of known degree, and of what smoothing keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import Tensor

from hvae_core.evaluation.spectrum import DEGREES, NODES, design, stabilities
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.bernoulli import Bernoulli
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.systems.build import build
from hvae_core.systems.hvae import HVAE

IMAGE = ImageSpec((1, 1, 2))
MEAN, STD = 0.7, 0.3
HERMITE: dict[int, Callable[[Tensor], Tensor]] = {
    1: lambda u: u,
    2: lambda u: (u**2 - 1) / 2**0.5,
    3: lambda u: (u**3 - 3 * u) / 6**0.5,
    4: lambda u: (u**4 - 6 * u**2 + 3) / 24**0.5,
}


class Encoder(torch.nn.Module):
    """q(z | below) = N(0.7, 0.3^2), whatever is below."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Normal:
        mean = torch.full((1, x.shape[1], 1), MEAN, dtype=torch.float64)
        return Normal(mean, torch.full_like(mean, STD))


class Generator(torch.nn.Module):
    """Conditional whose mu and sigma are given functions of the standardised z."""

    def __init__(self, mu: Callable[[Tensor], Tensor], sigma: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mu, self.sigma = mu, sigma

    def forward(self, z: Tensor) -> Normal:
        u = (z - MEAN) / STD
        return Normal(self.mu(u), self.sigma(u))


def energies(mu: Callable[[Tensor], Tensor], sigma: Callable[[Tensor], Tensor], count: int = 3000) -> np.ndarray:
    """Energies (2, DEGREES) of mu and sigma, of degree 1 and up."""
    networks = Networks([Encoder(), Encoder()], [Generator(mu, sigma)], torch.nn.Identity())
    model = HVAE(networks, [(1,), (1,)], IMAGE, Bernoulli())
    found = stabilities(model, torch.zeros(count, 1, 1, 2), [0])[0, 0]
    return np.array([nnls(design(), values)[0][1:] for values in found])


@pytest.mark.parametrize("degree", HERMITE)
def test_a_polynomial_of_one_degree_has_its_energy_there(degree: int) -> None:
    one, other = energies(lambda u: 3 * HERMITE[degree](u) + 5, lambda u: 2 + 0.1 * u)
    assert one.sum() == pytest.approx(9, rel=0.25), "polynomials of high degree have heavy tails"
    assert one[degree - 1] > 0.93 * one.sum()
    assert other[0] > 0.999 * other.sum()
    assert other.sum() == pytest.approx(0.01, rel=0.1)


def test_a_mixture_of_degrees_is_told_apart() -> None:
    found, _ = energies(lambda u: 2 * HERMITE[1](u) + HERMITE[2](u) + 0.5 * HERMITE[3](u), lambda u: 1 + 0 * u, 6000)
    np.testing.assert_allclose(found[:3], [4, 1, 0.25], atol=0.1)
    assert found[3:].sum() < 0.01


def test_a_constant_has_none() -> None:
    found, _ = energies(lambda u: 0 * u + 3, lambda u: 0 * u + 1)
    assert np.abs(found).max() < 1e-12


def test_the_fit_is_well_conditioned() -> None:
    assert np.abs(NODES).max() < 1
    assert (NODES < 0).sum() == len(NODES) / 2
    assert design().shape == (len(NODES), DEGREES + 1)
    assert np.linalg.cond(design()) < 1000


def test_every_conditional_of_every_member_is_measured_alone() -> None:
    spec, image = parse_model("mlp3x3h4"), ImageSpec((1, 2, 2))
    pack, alone = (build(spec, image, seeds, torch.float64) for seeds in ([4, 9], [9]))
    x = torch.ones(20, 1, 2, 2)
    together, single = stabilities(pack, x, [4, 9]), stabilities(alone, x, [9])
    assert together.shape == (2, 2, 2, len(NODES))
    np.testing.assert_allclose(together[1], single[0], atol=1e-12)
