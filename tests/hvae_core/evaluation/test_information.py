"""Information of a layer about the image, against log-determinants and the laws that it must keep, in float64."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hvae_core.evaluation import information as module
from hvae_core.evaluation.information import Information, information
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.bernoulli import Bernoulli
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.systems.build import build
from hvae_core.systems.hvae import HVAE

PIXELS = 3


class Linear(torch.nn.Module):
    """q(z | below) = N(A below, s^2), of one member."""

    def __init__(self, matrix: np.ndarray, std: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(matrix.T.copy()).unsqueeze(0))
        self.std = std

    def forward(self, x: Tensor) -> Normal:
        mean = x.flatten(2) @ self.weight
        return Normal(mean, torch.full_like(mean, self.std))


class Chain(NamedTuple):
    """A linear-Gaussian hierarchy over normal images, and I(x; z_i) of each layer in nats."""

    model: HVAE
    exact: list[float]


def chain(seed: int, depth: int, scale: float = 1.0, std: float = 0.8, units: int = 2, pixels: int = PIXELS) -> Chain:
    rng = np.random.default_rng(seed)
    signal, noise, layers, exact = np.eye(pixels), np.zeros((pixels, pixels)), [], []
    for below in (pixels, *[units] * (depth - 1)):
        matrix = scale * rng.normal(size=(units, below)) / math.sqrt(below)
        signal = matrix @ signal @ matrix.T
        noise = matrix @ noise @ matrix.T + std**2 * np.eye(units)
        exact.append(0.5 * (np.linalg.slogdet(signal + noise)[1] - np.linalg.slogdet(noise)[1]))
        layers.append(Linear(matrix, std))
    networks = Networks(layers, [torch.nn.Identity()] * (depth - 1), torch.nn.Identity())
    return Chain(HVAE(networks, [(units,)] * depth, ImageSpec((1, 1, pixels)), Bernoulli()), exact)


def images(count: int, seed: int = 0, pixels: int = PIXELS) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 1, 1, pixels)))


def ordered(found: Information, slack: float = 4.0) -> None:
    """Neither end passes the other by more than their errors."""
    error = np.hypot(found.low_se, found.high_se)
    assert (found.low <= found.high + slack * error + 1e-12).all()


@given(st.integers(0, 2**31), st.integers(1, 3), st.floats(0.3, 1.5))
@settings(max_examples=12, deadline=None)
def test_the_ends_hold_the_log_determinants_at_every_layer(seed: int, depth: int, scale: float) -> None:
    made = chain(seed, depth, scale)
    found = information(made.model, images(600, seed), [seed], 16)
    assert (found.low[0] <= made.exact + 4 * found.low_se[0] + 1e-3).all()
    assert (found.high[0] >= made.exact - 4 * found.high_se[0] - 1e-3).all()
    np.testing.assert_allclose(found.gauss[0], made.exact, atol=0.12)
    ordered(found)


def test_both_ends_meet_at_the_log_determinants() -> None:
    """Many examples and paths: what is left is noise and the finite mixture over examples."""
    made = chain(3, 3)
    gaps = []
    for examples, paths in ((100, 3), (400, 8), (1600, 64)):
        found = information(made.model, images(examples), [0], paths)
        gaps.append(found.high[0] - found.low[0])
    assert (gaps[0] >= gaps[1]).all()
    assert (gaps[1] >= gaps[2]).all()
    assert gaps[2].max() < 0.12
    np.testing.assert_allclose(found.low[0], made.exact, atol=0.1)
    np.testing.assert_allclose(found.high[0], made.exact, atol=0.1)


@pytest.mark.parametrize(("examples", "units"), [(300, 40), (1000, 100)])
def test_the_upper_end_is_one_in_layers_of_many_units(examples: int, units: int) -> None:
    """A density that was fitted to the very points would come out below: by 0.3 and 0.7 nats here."""
    made = chain(0, 1, scale=2.0, std=1.0, units=units, pixels=units)
    above = []
    for seed in range(4):
        found = information(made.model, images(examples, seed, units), [seed], 3)
        above.append(found.high[0, 0] - made.exact[0])
    error = float(found.high_se[0, 0]) / 2
    assert -2 * error < np.mean(above) < units**2 / (4 * 0.9 * examples) + 2 * error


def test_which_of_two_densities_is_better_is_judged_by_the_other_folds() -> None:
    """What is better on the whole and in its own fold is not taken there if it is worse in the others."""
    one = torch.zeros(1, 100, dtype=torch.float64)
    one[:, :10] = 50.0  # the first of ten folds
    other = torch.full_like(one, 1.0)
    found = module._larger(one, other)
    assert (found[:, :10] == 1.0).all(), "in the other folds the second is better"
    assert (found[:, 10:] == 0.0).all(), "in the others, the first fold among them, the first is"


def test_information_only_falls_on_the_way_up() -> None:
    """Data processing: z_{i+1} is drawn from z_i."""
    made = chain(5, 3, scale=2.0, std=0.3)
    found = information(made.model, images(1000), [0], 32)
    assert (np.diff(made.exact) < 0).all()
    assert (np.diff(found.low[0]) < 3 * found.low_se[0, 1:]).all()
    assert (np.diff(found.gauss[0]) < 0.05).all()


def test_a_layer_that_ignores_the_image_knows_nothing_however_much_noise_it_passes_up() -> None:
    """The mean of layer 2 varies a lot, all of it with layer 1's noise; its KL to N(0, 1) would be nats."""
    first, second = Linear(np.zeros((2, PIXELS)), 1.0), Linear(2.0 * np.eye(2), 0.1)
    networks = Networks([first, second], [torch.nn.Identity()], torch.nn.Identity())
    model = HVAE(networks, [(2,), (2,)], ImageSpec((1, 1, PIXELS)), Bernoulli())
    found = information(model, images(800), [0], 64)
    assert np.abs(found.low[0]).max() < 0.02
    assert np.abs(found.gauss[0]).max() < 0.02
    assert found.high[0, 0] == pytest.approx(0, abs=0.02)
    ordered(found)


def test_with_few_paths_their_noise_is_not_taken_for_the_image() -> None:
    """An average over two paths still wobbles by half of the noise: that is subtracted from the spread of averages."""
    first, second = Linear(np.zeros((2, PIXELS)), 1.0), Linear(2.0 * np.eye(2), 0.1)
    networks = Networks([first, second], [torch.nn.Identity()], torch.nn.Identity())
    model = HVAE(networks, [(2,), (2,)], ImageSpec((1, 1, PIXELS)), Bernoulli())
    assert np.abs(information(model, images(800), [0], 3).gauss[0]).max() < 0.05


def test_it_never_exceeds_log_n_and_says_so_at_the_lower_end() -> None:
    made = chain(1, 1, scale=300.0, std=0.01, units=3)
    found = information(made.model, images(50), [0], 4)
    assert made.exact[0] > 2 * math.log(50)
    assert found.low[0, 0] == pytest.approx(math.log(50), abs=1e-6)
    assert found.high[0, 0] > made.exact[0] - 4 * found.high_se[0, 0]


def test_it_lies_between_zero_and_the_top_kl() -> None:
    model = build(parse_model("mlp3x4h8"), ImageSpec((1, 1, 6)), [1, 2], torch.float64)
    g = torch.Generator().manual_seed(0)
    x = torch.bernoulli(torch.full((500, 1, 1, 6), 0.4, dtype=torch.float64), generator=g)
    found = information(model, x, [1, 2], 32)
    noise = model.split_noise(torch.randn(1, model.noise_size(500), generator=g, dtype=torch.float64), 500)
    kl_top = model(x.unsqueeze(0), noise).kl[-1].mean(1).detach().numpy()
    assert (found.low > -4 * found.low_se - 1e-3).all()
    assert (found.low[:, -1] < kl_top).all()
    ordered(found)


def test_a_member_gets_the_same_alone_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, image = parse_model("mlp2x3h4"), ImageSpec((1, 1, PIXELS))
    pack, alone = (build(spec, image, seeds, torch.float64) for seeds in ([4, 9], [9]))
    together = information(pack, images(60), [4, 9], 5)
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    single = information(alone, images(60), [9], 5)
    for name in ("low", "low_se", "high", "high_se", "gauss"):
        np.testing.assert_allclose(getattr(together, name)[1], getattr(single, name)[0], atol=1e-9)
    row = together.row(1)
    assert row["info_top"] == row["info_2"] == together.low[1, 1]
    assert row["info_1_high_se"] == together.high_se[1, 0]


@pytest.mark.parametrize(("examples", "paths"), [(1, 8), (10, 2)])
def test_one_example_or_two_paths_say_nothing(examples: int, paths: int) -> None:
    with pytest.raises(ValueError, match="needs 2 examples and 3 paths"):
        information(chain(0, 2).model, images(examples), [0], paths)
