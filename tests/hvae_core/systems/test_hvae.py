from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.bernoulli import Bernoulli
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal, kl
from hvae_core.streams import SeedStreams
from hvae_core.systems.build import build
from hvae_core.systems.hvae import HVAE
from hvae_core.systems.smoothing import OrnsteinUhlenbeck

if TYPE_CHECKING:
    from tests.hvae_core.conftest import LinearGaussian

DRAWS = 100_000
X = np.array([0.4, -1.0, 0.7, 0.2])


def one_pass(linear: LinearGaussian, draws: int = DRAWS, smoothing: OrnsteinUhlenbeck | None = None, K: int = 0):  # type: ignore[no-untyped-def]
    x = torch.from_numpy(X).expand(1, draws, 1, 1, -1)
    flat = SeedStreams([0], "test").normal(linear.model.noise_size(draws, K), dtype=torch.float64)
    with torch.no_grad():
        return linear.model(x, linear.model.split_noise(flat, draws, K), smoothing)


def agrees(sample: Tensor, exact: float, sigmas: float = 4.5) -> bool:
    error = sample.std() / math.sqrt(len(sample))
    return abs(float(sample.mean()) - exact) < sigmas * float(error)


def test_every_term_equals_its_closed_form(linear: LinearGaussian) -> None:
    """Each layer apart: a compensating pair of errors would not pass."""
    terms = one_pass(linear)
    for m in range(2):
        recon, kls = linear.terms(X, m)
        assert agrees(terms.recon[m], recon)
        for i, exact in enumerate(kls):
            assert agrees(terms.kl[i, m], exact), f"layer {i + 1} of member {m}"
        assert agrees(terms.elbo[m], linear.elbo(X, m))
        assert agrees(terms.log_weight[m], linear.elbo(X, m)), "E[L_1] is the ELBO"


def test_plug_in_kl_would_be_seen(linear: LinearGaussian) -> None:
    """The closed-form KL at a sampled z_{i+1} is far from the truth here, so the test above would go red on it."""
    x = torch.from_numpy(X).expand(1, DRAWS, 1, 1, -1)
    flat = SeedStreams([0], "test").normal(linear.model.noise_size(DRAWS), dtype=torch.float64)
    with torch.no_grad():
        qs, zs = linear.model.infer(x, linear.model.split_noise(flat, DRAWS).posterior)
        plug_in = kl(qs[0], linear.model.priors[0](zs[1]))
    assert not agrees(plug_in[0], linear.terms(X, 0)[1][0], sigmas=20)


def test_exact_posterior_makes_every_weight_the_likelihood(chain: Callable[[float], LinearGaussian]) -> None:
    """Not only on average: with q = p(z|x) the importance weight is log p(x) at every draw."""
    exact = chain(1.0)
    x = torch.linspace(-3, 3, 40, dtype=torch.float64).view(1, 40, 1, 1, 1)
    flat = SeedStreams([0], "test").normal(exact.model.noise_size(40), dtype=torch.float64)
    log_weight = exact.model(x, exact.model.split_noise(flat, 40)).log_weight[0]
    expected = torch.tensor([exact.log_likelihood(value.flatten().numpy(), 0) for value in x[0]], dtype=torch.float64)
    torch.testing.assert_close(log_weight, expected, rtol=1e-10, atol=1e-10)


def test_smoothing_with_rho_one_is_the_plain_model(linear: LinearGaussian) -> None:
    rho_one = OrnsteinUhlenbeck(torch.ones(2, dtype=torch.float64))
    flat = SeedStreams([0], "test").normal(linear.model.noise_size(50, 3), dtype=torch.float64)
    noise = linear.model.split_noise(flat, 50, 3)
    x = torch.from_numpy(X).expand(1, 50, 1, 1, -1)
    smoothed, plain = linear.model(x, noise, rho_one), linear.model(x, noise)
    torch.testing.assert_close(smoothed.kl, plain.kl, rtol=1e-12, atol=1e-12)


def test_top_kl_does_not_see_smoothing(linear: LinearGaussian) -> None:
    rho = OrnsteinUhlenbeck(torch.tensor([0.3, 0.9], dtype=torch.float64))
    smoothed, plain = one_pass(linear, 100, rho, 4), one_pass(linear, 100, None, 4)
    assert torch.equal(smoothed.kl[-1], plain.kl[-1])
    assert not torch.allclose(smoothed.kl[0], plain.kl[0])


@pytest.mark.parametrize("form", ["mean_std", "ratio"])
def test_members_do_not_mix(form: str) -> None:
    """The gradient of one member's objective with respect to another member's weights is zero."""
    spec = parse_model("mlp3x4h5")
    model = build(spec, ImageSpec((1, 2, 3)), [0, 1, 2], torch.float64)
    x = torch.bernoulli(
        torch.full((1, 7, 1, 2, 3), 0.4, dtype=torch.float64), generator=torch.Generator().manual_seed(1)
    )
    flat = SeedStreams([0, 1, 2], "noise").normal(model.noise_size(7, 2), dtype=torch.float64)
    smoothing = OrnsteinUhlenbeck(torch.tensor([0.2, 0.9, 1.0], dtype=torch.float64), form)  # type: ignore[arg-type]
    terms = model(x, model.split_noise(flat, 7, 2), smoothing)
    terms.elbo[1].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad[[0, 2]].abs().max() == 0, name
        assert parameter.grad[1].abs().max() > 0, name


def test_noise_is_cut_without_overlap_or_rest() -> None:
    B, K = 4, 2
    networks = Networks([torch.nn.Identity()] * 3, [torch.nn.Identity()] * 2, torch.nn.Identity())
    model = HVAE(networks, [(3,), (2,), (5, 1, 1)], ImageSpec((1, 1, 1)), Bernoulli())
    size = model.noise_size(B, K)
    noise = model.split_noise(torch.arange(size).view(1, size), B, K)
    assert [e.shape for e in noise.posterior] == [(1, B, 3), (1, B, 2), (1, B, 5, 1, 1)]
    assert [e.shape for e in noise.ou] == [(1, K, B, 2), (1, K, B, 5, 1, 1)]
    seen = torch.cat([e.flatten() for e in (*noise.posterior, *noise.ou)])
    assert torch.equal(seen.sort().values, torch.arange(size))


def test_build_starts_at_the_pixel_mean_and_sigma_near_one() -> None:
    mean = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64).view(1, 2, 2)
    model = build(parse_model("mlp2x3h8"), ImageSpec((1, 2, 2)), [5], torch.float64, mean)
    likelihood = model.likelihood
    decoded = likelihood.mean(torch.zeros(1, 1, 3, dtype=torch.float64))
    torch.testing.assert_close(decoded[0, 0], mean.clamp(0.001, 0.999))
    q: Normal = model.posteriors[0](torch.zeros(1, 1, 4, dtype=torch.float64))
    torch.testing.assert_close(q.std, torch.full_like(q.std, 1 + 1e-4))


def test_generate_has_the_moments_of_the_hierarchy(linear: LinearGaussian) -> None:
    noise = [
        torch.randn(1, 200_000, d, dtype=torch.float64, generator=torch.Generator().manual_seed(d)) for d in (3, 2, 4)
    ]
    drawn = linear.model.generate([noise[0], noise[1], noise[1].flip(1)])
    weights = {name: value.detach() for name, value in linear.model.named_parameters()}
    for m in range(2):
        top = weights["priors.1.bias"][m, 0]
        below = top @ weights["priors.0.weight"][m] + weights["priors.0.bias"][m, 0]
        decoder = "likelihood.network"
        expected = below @ weights[f"{decoder}.weight"][m] + weights[f"{decoder}.bias"][m, 0]
        torch.testing.assert_close(drawn[m].mean(0).flatten(), expected, atol=0.02, rtol=0)
