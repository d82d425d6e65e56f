from __future__ import annotations

import math

import pytest
import torch

from hvae_core.networks.mlp import SIGMA_FLOOR, NormalNetwork, TanhNetwork
from hvae_core.networks.stacked import StackedLinear, glorot_uniform


def normals(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_stacked_equals_looped() -> None:
    """The oracle is torch.nn, one member at a time; inputs of their own and a shared one."""
    network = TanhNetwork(3, 4, 5, 6).double()
    glorot_uniform(network, [0, 1, 2])
    for x in (normals(0, 3, 7, 4), normals(0, 1, 7, 4)):
        stacked = network(x)
        for m in range(3):
            linears = [torch.nn.Linear(i, o).double() for i, o in ((4, 5), (5, 5), (5, 6))]
            for linear, layer in zip(linears, (network.first, network.second, network.out), strict=True):
                linear.weight.data, linear.bias.data = layer.weight[m].T, layer.bias[m, 0]
            single = torch.nn.Sequential(linears[0], torch.nn.Tanh(), linears[1], torch.nn.Tanh(), linears[2])
            torch.testing.assert_close(stacked[m], single(x[m % len(x)]), rtol=1e-12, atol=1e-12)


def test_glorot_bounds_and_spread() -> None:
    layer = StackedLinear(1, 300, 500).double()
    glorot_uniform(layer, [11])
    bound = math.sqrt(6 / 800)
    assert float(layer.weight.detach().abs().max()) <= bound
    assert float(layer.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert layer.bias.abs().max() == 0


def test_heads_have_their_own_fan_out() -> None:
    """Mean and std heads lie side by side in one layer, yet each has the bound of a layer of its own."""
    network = NormalNetwork(1, 3, 50, 10)
    assert network.network.out.bound == pytest.approx(math.sqrt(6 / 60))


def test_initial_weights_follow_the_seed_not_the_place() -> None:
    packed, alone = TanhNetwork(3, 4, 5, 6), TanhNetwork(1, 4, 5, 6)
    glorot_uniform(packed, [2, 8, 2])
    glorot_uniform(alone, [8])
    for many, one in zip(packed.parameters(), alone.parameters(), strict=True):
        assert torch.equal(many[1], one[0])
        assert torch.equal(many[0], many[2])
    assert not torch.equal(packed.first.weight[0], packed.first.weight[1])


def test_initial_weights_are_the_same_in_every_precision() -> None:
    single, double = TanhNetwork(1, 4, 5, 6), TanhNetwork(1, 4, 5, 6).double()
    glorot_uniform(single, [3])
    glorot_uniform(double, [3])
    assert torch.equal(single.first.weight, double.first.weight.float())


def test_sigma_is_positive_where_its_network_is_not() -> None:
    network = NormalNetwork(1, 2, 3, 1)
    glorot_uniform(network, [0])
    with torch.no_grad():
        network.network.out.bias.fill_(-1000.0)
    assert float(network(torch.zeros(1, 1, 2)).std.detach()) == pytest.approx(SIGMA_FLOOR)
