"""The loop that packs are compared with trains the same model: another writing of the objective, hence an oracle."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain_loop import PlainHVAE
from hvae_core.families.conv import Conv
from hvae_core.families.mlp import MLP
from hvae_core.families.resnet import ResNet
from hvae_core.image import ImageSpec
from hvae_core.networks.stacked import StackedLayer
from hvae_core.spec import ObjectiveSpec
from hvae_core.systems.build import build
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.training.objective import Objective

B, K, RHO = 7, 3, 0.7
# Behind all else in the backward pass.
FIRST = {"mlp": "network.first", "conv": "network.hidden.0", "resnet": "network.first"}


def copy(network: nn.Module, plain: nn.Module) -> None:
    """Give a network the weights of another, once those that start at zero are random too."""
    layers = [layer for layer in plain.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    stacked = [layer for layer in network.modules() if isinstance(layer, StackedLayer)]
    for ours, layer in zip(stacked, layers, strict=True):
        if not ours.weight.data.any():
            ours.weight.data.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
        weight = ours.weight.data[0]
        layer.weight.data = (weight.T if isinstance(layer, nn.Linear) else weight).clone()
        layer.bias = nn.Parameter(ours.bias.data[0].flatten().clone())


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        (MLP((4, 3, 2), (32, 24, 16)), ImageSpec((1, 1, 9))),
        (Conv(3, (2, 2, 3), 3), ImageSpec((1, 4, 6))),
        (Conv(2, (2, 1, 1), 3), ImageSpec((2, 8, 8))),
        (ResNet(3, (2, 2, 2), 2, 3), ImageSpec((3, 8, 8), 256)),
        (ResNet(2, (2, 4, 4), 1, 3), ImageSpec((1, 4, 4))),
    ],
)
def test_its_loss_and_gradient_are_those_of_a_pack_of_one(
    monkeypatch: pytest.MonkeyPatch, spec: MLP | Conv | ResNet, image: ImageSpec
) -> None:
    generator = torch.Generator().manual_seed(0)
    mixture = 2 if image.levels > 2 else 1
    ours = build(spec, image, [5], torch.float64, mixture=mixture)
    plain = PlainHVAE(spec, image, RHO, K, mixture).double()
    for network, other in zip(
        [*(p.network for p in (*ours.posteriors, *ours.priors)), ours.likelihood.network],
        [*plain.posteriors, *plain.priors, plain.decoder],
        strict=True,
    ):
        copy(network, other)
    share = torch.rand(1, B, *image.shape, generator=generator, dtype=torch.float64)
    x = (share < 0.3).double() if image.levels == 2 else (255 * share).round()
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
    gradient = plain.posteriors.get_parameter("0.0.weight").grad
    other = ours.get_parameter(f"posteriors.0.{FIRST[spec.family]}.weight").grad
    assert gradient is not None
    assert other is not None
    torch.testing.assert_close(gradient.T if isinstance(spec, MLP) else gradient, other[0])
    assert next(draws, None) is None
