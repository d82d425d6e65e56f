"""The loop that packs are compared with trains the same model: another writing of the objective, hence an oracle."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain_loop import PlainHVAE
from hvae_core.families.mlp import MLP
from hvae_core.image import ImageSpec
from hvae_core.networks.mlp import TanhNetwork
from hvae_core.spec import ObjectiveSpec
from hvae_core.systems.build import build
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.training.objective import Objective

B, P, K, RHO = 7, 9, 3, 0.7
FIRST = "posteriors.0.network.first.weight"  # behind everything else in the backward pass


def copy(network: TanhNetwork, plain: nn.Module) -> None:
    linear = [layer for layer in plain.modules() if isinstance(layer, nn.Linear)]
    for stacked, layer in zip((network.first, network.second, network.out), linear, strict=True):
        layer.weight.data = stacked.weight.data[0].T.clone()
        layer.bias.data = stacked.bias.data[0, 0].clone()


def test_its_loss_and_gradient_are_those_of_a_pack_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, generator = MLP((4, 3, 2), (32, 24, 16)), torch.Generator().manual_seed(0)
    ours = build(spec, ImageSpec((1, 1, P)), [5], torch.float64)
    plain = PlainHVAE(spec, P, RHO, K).double()
    for network, other in zip(
        [*(p.network for p in (*ours.posteriors, *ours.priors)), ours.likelihood.network],
        [*plain.posteriors, *plain.priors, plain.decoder],
        strict=True,
    ):
        copy(network, other)
    x = (torch.rand(1, B, 1, 1, P, generator=generator) < 0.3).double()
    flat = torch.randn(1, ours.noise_size(B, K), generator=generator, dtype=torch.float64)
    noise = ours.split_noise(flat, B, K)
    draws = iter([*(e[0] for e in noise.posterior), *(e[0] for e in noise.ou)])

    def drawn(*shape: object, **keywords: object) -> Tensor:
        return next(draws)

    monkeypatch.setattr("benchmarks.plain_loop.torch.randn_like", drawn)
    monkeypatch.setattr("benchmarks.plain_loop.torch.randn", drawn)
    loss = plain.loss(x[0].flatten(1))
    smoothing = OrnsteinUhlenbeck(torch.tensor([RHO], dtype=torch.float64))
    objective = Objective([ObjectiveSpec(RHO, K)], torch.float64)
    expected = objective.loss(ours(x, noise, smoothing), torch.tensor(0))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    expected.sum().backward()
    gradient, other = plain.posteriors.get_parameter("0.0.weight").grad, ours.get_parameter(FIRST).grad
    assert gradient is not None
    assert other is not None
    torch.testing.assert_close(gradient.T, other[0])
    assert next(draws, None) is None
