from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli as Oracle

from hvae_core.likelihoods.bernoulli import Bernoulli

SHAPE = (2, 3, 4)


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_log_prob_equals_torch_distributions(scale: float) -> None:
    out, x = scale * normals(1, 2, 6, *SHAPE), (normals(2, 1, 6, *SHAPE) > 0).double()
    oracle = Oracle(logits=out).log_prob(x.expand_as(out)).sum((2, 3, 4))
    torch.testing.assert_close(Bernoulli().log_prob(x, out), oracle, rtol=1e-12, atol=1e-12)


def test_samples_have_the_mean() -> None:
    out = normals(3, 1, 1, *SHAPE)
    uniform = torch.rand(1, 20_000, *SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    drawn = Bernoulli().sample(out, uniform)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(1), Bernoulli().mean(out)[:, 0], atol=0.02, rtol=0)


def test_the_initial_bias_gives_the_mean_image() -> None:
    mean = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64).view(1, 1, 3)
    bias = Bernoulli().initial_bias(mean, torch.zeros_like(mean))
    torch.testing.assert_close(Bernoulli().mean(bias), mean.clamp(0.001, 0.999))
