from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, kl_divergence
from torch.distributions import Normal as Oracle

from hvae_core.networks.normal import Normal, kl, standard_like


def random_normal(seed: int, *shape: int) -> Normal:
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(shape, generator=g, dtype=torch.float64)
    return Normal(mean, torch.randn(shape, generator=g, dtype=torch.float64).exp())


def oracle(p: Normal) -> Independent:  # type: ignore[type-arg]
    return Independent(Oracle(p.mean, p.std), p.mean.dim() - 2)


@pytest.mark.parametrize("shape", [(1, 1, 4), (2, 3, 5), (2, 3, 4, 2, 5)])
def test_log_prob_and_kl_equal_torch_distributions(shape: tuple[int, ...]) -> None:
    q, p = random_normal(0, *shape), random_normal(1, *shape)
    z = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(q.log_prob(z), oracle(q).log_prob(z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(kl(q, p), kl_divergence(oracle(q), oracle(p)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(kl(q, standard_like(q)), kl_divergence(oracle(q), oracle(standard_like(q))))


def test_kl_is_stable_next_to_zero() -> None:
    """In float32, one part in 10^6 from p: the textbook form gives zero or less, the truth is 1/2 (1e-12 + 2e-12)."""
    std = torch.tensor([[[1.0 + 2**-20]]])
    value = kl(Normal(torch.zeros(1, 1, 1), std), Normal(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)))
    exact = kl(Normal(torch.zeros(1, 1, 1).double(), std.double()), Normal(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)))
    assert float(value) >= 0
    torch.testing.assert_close(value.double(), exact, rtol=0.2, atol=0)


def test_sample_reparameterises() -> None:
    q = random_normal(3, 2, 3)
    noise = torch.tensor([[1.0, 0.0, -2.0], [0.5, 1.5, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(q.sample(noise), q.mean + q.std * noise)
