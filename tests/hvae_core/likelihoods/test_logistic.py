"""The likelihoods of 256 levels against closed forms, exact sums and float64."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.logistic import (
    DiscretisedLogistic,
    expectation,
    log_probability,
    log_scale_of,
    output_of,
)
from hvae_core.likelihoods.mixture import LogisticMixture
from hvae_core.likelihoods.registry import LIKELIHOODS, likelihood_of, outputs_of

LEVELS = torch.arange(256, dtype=torch.float64)


def draws(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_standard_logistic_has_the_known_probabilities() -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    p = log_probability(LEVELS, zero, zero).exp()
    edge = 1 / (1 + math.exp(254 / 255))
    torch.testing.assert_close(p[[0, 127, 255]], torch.tensor([edge, 0.0019607742623490854, edge], dtype=torch.float64))
    assert p[0] == pytest.approx(0.2697131468399318, rel=1e-14)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.3, 1.0, 1e2])
def test_the_levels_sum_to_one_wherever_the_mean_is(scale: float) -> None:
    means = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
    p = log_probability(LEVELS, means, torch.full_like(means, scale).log()).exp().sum(1)
    torch.testing.assert_close(p, torch.ones_like(p), rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-4, 1e-3, 1e-2, 0.3, 1.0, 1e2])
def test_float32_keeps_far_tails_and_finite_gradients(scale: float) -> None:
    means = torch.linspace(-1.5, 1.5, 31)[:, None]
    log_scale = torch.full_like(means, scale).log().requires_grad_()
    mean = means.clone().requires_grad_()
    found = log_probability(LEVELS.float(), mean, log_scale)
    exact = log_probability(LEVELS, means.double(), log_scale.detach().double())
    torch.testing.assert_close(found.double(), exact, rtol=2e-5, atol=2e-5 + 2e-7 / scale)
    found.sum().backward()
    for leaf in (mean, log_scale):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_the_far_tail_that_a_difference_of_cdfs_loses() -> None:
    """Log scale -7, mean .9, level 3: float64's value of the exact form is -2053.5."""
    found = log_probability(torch.tensor(3.0), torch.tensor(0.9), torch.tensor(-7.0))
    exact = log_probability(*(torch.tensor(value, dtype=torch.float64) for value in (3.0, 0.9, -7.0)))
    assert float(found) == pytest.approx(float(exact), rel=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    mean, log_scale = draws(0, 1, 9).requires_grad_(), draws(1, 1, 9).requires_grad_()
    levels = torch.tensor([[0.0, 1.0, 80.0, 127.0, 128.0, 200.0, 254.0, 255.0, 255.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda m, s: log_probability(levels, m, s), (mean, log_scale))


def test_the_expectation_is_the_sum_over_levels() -> None:
    mean, log_scale = 1.2 * draws(2, 40), draws(3, 40) - 2
    p = log_probability(LEVELS, mean[:, None], log_scale[:, None]).exp()
    torch.testing.assert_close(expectation(mean, log_scale), (p * LEVELS).sum(1))


def test_the_log_scale_has_a_floor_and_a_gradient_below_it() -> None:
    s = torch.tensor([-200.0, -20.0, -3.0, 4.0], dtype=torch.float64, requires_grad=True)
    log_scale = log_scale_of(s)
    assert bool((log_scale >= -7).all())
    (gradient,) = torch.autograd.grad(log_scale[1], s)
    assert gradient[1] > 0
    torch.testing.assert_close(log_scale_of(output_of(torch.tensor([-6.0, 0.0, 3.0]))), torch.tensor([-6.0, 0.0, 3.0]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("components", [1, 4])
def test_samples_have_the_probabilities(channels: int, components: int) -> None:
    """The levels that occur often, of the first and of the last channel: as often as the exact marginals say."""
    likelihood = likelihood_of(ImageSpec((channels, 1, 1), 256), components)
    out = 0.5 * draws(4, 1, 1, likelihood.outputs, 1, 1)
    n = 40_000
    drawn = likelihood.sample(out.expand(1, n, -1, 1, 1), uniform(5, 1, n, likelihood.outputs, 1, 1))
    assert set(drawn.unique().tolist()) <= set(range(256))
    first = drawn[0, :, 0, 0, 0]
    if channels == 1:
        p = likelihood.log_prob(LEVELS.view(1, -1, 1, 1, 1), out.expand(1, 256, -1, 1, 1)).exp()[0]
        counts = torch.bincount(first.long(), minlength=256) / n
        assert float((counts - p).abs().max()) < 6 * math.sqrt(float(p.max()) / n)
    mean = likelihood.mean(out)[0, 0, :, 0, 0]
    near = 1.0 if components == 1 else 1.5  # open edges make the mixture's mean of later colours approximate
    torch.testing.assert_close(drawn.mean((0, 1, 3, 4)), mean, rtol=0.02, atol=near)


def test_a_mixture_sums_to_one_over_all_colours() -> None:
    """Summed over the 256^2 greens and blues it is the mixture of the reds alone, and that sums to one over 256."""
    likelihood, reds = LogisticMixture(3, 3), LogisticMixture(1, 3)
    out = draws(6, 1, 1, likelihood.outputs, 1, 1)
    out[:, :, 12:21] -= 2.0  # narrower, so that the couplings matter
    alone = out[:, :, [0, 1, 2, 3, 4, 5, 12, 13, 14]]  # logits, means and log scales of red
    p = reds.log_prob(LEVELS.view(1, -1, 1, 1, 1), alone.expand(1, 256, -1, 1, 1)).exp()[0]
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-12)
    others = torch.cartesian_prod(LEVELS, LEVELS)
    for red in (0, 1, 90, 128, 254, 255):
        x = torch.cat([torch.full((len(others), 1), float(red), dtype=torch.float64), others], 1)
        total = likelihood.log_prob(x.view(1, -1, 3, 1, 1), out.expand(1, len(others), -1, 1, 1)).exp().sum()
        assert float(total) == pytest.approx(float(p[red]), rel=1e-10)


def test_the_mixture_is_the_one_of_its_docstring() -> None:
    """Written out again with Python numbers, for one pixel of three colours and two components."""
    likelihood = LogisticMixture(3, 2)
    out, x = draws(7, 1, 1, 20, 1, 1), torch.tensor([40.0, 200.0, 255.0], dtype=torch.float64)
    o = out.flatten().tolist()
    v = [2 * float(level) / 255 - 1 for level in x]

    def p(level: int, mean: float, s: float) -> float:
        scale = math.exp(-7 + math.log1p(math.exp(s + 7)))

        def below(edge: float) -> float:
            return 1 / (1 + math.exp(-(edge - mean) / scale))

        upper = 1.0 if level == 255 else below((2 * level + 1) / 255 - 1)
        return upper - (0.0 if level == 0 else below((2 * level - 1) / 255 - 1))

    weights = [math.exp(o[k]) / (math.exp(o[0]) + math.exp(o[1])) for k in range(2)]
    total = 0.0
    for k in range(2):
        m, s, c = ([o[start + 2 * i + k] for i in range(3)] for start in (2, 8, 14))
        red, green = p(40, m[0], s[0]), p(200, m[1] + math.tanh(c[0]) * v[0], s[1])
        blue = p(255, m[2] + math.tanh(c[1]) * v[0] + math.tanh(c[2]) * v[1], s[2])
        total += weights[k] * red * green * blue
    found = likelihood.log_prob(x.view(1, 1, 3, 1, 1), out)
    assert float(found) == pytest.approx(math.log(total), rel=1e-10)


def test_a_mixture_of_one_kind_is_a_logistic() -> None:
    """Equal components without couplings are one logistic for each value."""
    one, several = DiscretisedLogistic(3), LogisticMixture(3, 4)
    out, x = draws(8, 2, 5, 6, 2, 2), (255 * uniform(9, 1, 5, 3, 2, 2)).round()
    repeated = out.repeat_interleave(4, dim=2)
    extended = torch.cat([torch.zeros(2, 5, 4, 2, 2), repeated, torch.zeros(2, 5, 12, 2, 2)], dim=2)
    torch.testing.assert_close(several.log_prob(x, extended), one.log_prob(x, out))
    torch.testing.assert_close(several.mean(extended), one.mean(out))


@pytest.mark.parametrize(("channels", "components"), [(1, 1), (3, 1), (1, 10), (3, 10)])
def test_it_starts_near_the_images_moments(channels: int, components: int) -> None:
    likelihood = likelihood_of(ImageSpec((channels, 2, 2), 256), components)
    mean, std = 0.3 + 0.4 * uniform(10, channels, 2, 2), 0.05 + 0.1 * uniform(11, channels, 2, 2)
    out = likelihood.initial_bias(mean, std)
    assert out.shape == (likelihood.outputs, 2, 2)
    n = 20_000
    drawn = likelihood.sample(out.expand(1, n, -1, 2, 2), uniform(12, 1, n, *out.shape)) / 255
    torch.testing.assert_close(drawn.mean((0, 1)), mean, rtol=0, atol=0.01)
    ratio = drawn.std((0, 1)) / std
    assert bool(((ratio > 0.9) & (ratio < 1.3)).all())


@pytest.mark.parametrize(("levels", "channels", "mixture"), [*itertools.product([2, 256], [1, 3], [1, 5])])
def test_the_maps_are_known_without_building(levels: int, channels: int, mixture: int) -> None:
    image = ImageSpec((channels, 4, 4), levels)
    if levels == 2 and mixture > 1:
        with pytest.raises(SpecError, match=r"^mixture: 5 is not allowed for binary images; it must be 1"):
            outputs_of(image, mixture)
    else:
        assert outputs_of(image, mixture) == likelihood_of(image, mixture).outputs
        assert (levels, mixture > 1) in LIKELIHOODS
