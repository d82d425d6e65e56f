from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hvae_core.evaluation import bounds as bounds_module
from hvae_core.evaluation import evaluate as module
from hvae_core.evaluation.active_units import active_units
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.bernoulli import Bernoulli
from hvae_core.networks.base import Networks
from hvae_core.systems.build import build
from hvae_core.systems.hvae import HVAE

if TYPE_CHECKING:
    from tests.hvae_core.conftest import LinearGaussian

IMAGE = ImageSpec((1, 1, 6))


def images(count: int, pixels: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.bernoulli(torch.full((count, 1, 1, pixels), 0.4), generator=g).to(torch.uint8)


def test_elbo_and_kl_equal_their_closed_forms(linear: LinearGaussian) -> None:
    """On 16 binary images repeated, the mean over images is the mean of 16 closed forms."""
    distinct = torch.tensor([[int(bit) for bit in f"{i:04b}"] for i in range(16)], dtype=torch.uint8)
    metrics = evaluate(linear.model, distinct.repeat(2500, 1).view(-1, 1, 1, 4), [0, 0], "test")
    for m in range(2):
        exact = [linear.terms(x, m) for x in distinct.double().numpy()]
        assert metrics.recon[m] == pytest.approx(np.mean([recon for recon, _ in exact]), abs=0.3)
        assert metrics.kl[m] == pytest.approx(np.mean([kls for _, kls in exact], axis=0), abs=0.35)
        assert metrics.elbo[m] == pytest.approx(metrics.recon[m] - metrics.kl[m].sum(), abs=1e-12)


def test_bounds_are_ordered_and_reach_the_likelihood(chain: Callable[[float], LinearGaussian]) -> None:
    """ELBO = E[L_1] < L_10 < L_1000 <= log p(x), and L_1000 is within its error of log p(x)."""
    loose = chain(1.5)
    data = torch.tensor([0, 1], dtype=torch.uint8).repeat(500).view(-1, 1, 1, 1)
    exact = np.mean([loose.log_likelihood(np.array([x]), 0) for x in (0.0, 1.0)])
    elbo = np.mean([loose.elbo(np.array([x]), 0) for x in (0.0, 1.0)])
    bounds = {k: importance_bound(loose.model, data, k, [0]) for k in (1, 10, 1000)}
    values = [bounds[k].value[0] for k in (1, 10, 1000)]
    assert values[0] == pytest.approx(elbo, abs=4.5 * bounds[1].standard_error[0])
    assert values[0] + 0.1 < values[1] < values[2] + 0.01
    assert values[2] == pytest.approx(exact, abs=4.5 * bounds[1000].standard_error[0])
    assert exact - elbo > 0.2


def test_effective_sample_size_is_k_for_the_exact_posterior(chain: Callable[[float], LinearGaussian]) -> None:
    data = torch.tensor([0, 1], dtype=torch.uint8).repeat(10).view(-1, 1, 1, 1)
    assert importance_bound(chain(1.0).model, data, 250, [0]).effective_samples[0] == pytest.approx(250)
    assert 1 <= importance_bound(chain(2.0).model, data, 250, [0]).effective_samples[0] < 200


def test_standard_error_is_that_of_the_mean_over_examples(chain: Callable[[float], LinearGaussian]) -> None:
    """With the exact posterior every L_k is log p(x): the error is the spread of log p(x) over the two images."""
    exact = chain(1.0)
    data = torch.tensor([0, 1], dtype=torch.uint8).repeat(30).view(-1, 1, 1, 1)
    values = np.array([exact.log_likelihood(np.array([float(x)]), 0) for x in data.flatten()])
    bound = importance_bound(exact.model, data, 7, [0])
    assert bound.standard_error[0] == pytest.approx(values.std(ddof=1) / math.sqrt(60), rel=1e-9)


@pytest.mark.parametrize("samples", [99, 100, 101, 250])
def test_chunks_of_samples_change_nothing_but_rounding(samples: int) -> None:
    """The log-sum-exp over chunks equals one over all importance weights, taken here in one piece."""
    model = build(parse_model("mlp2x3h4"), IMAGE, [0], torch.float64)
    data = images(5, 6)
    weights: list[Tensor] = []
    forward = model.forward

    def spy(*args, **kwargs):  # type: ignore[no-untyped-def]
        terms = forward(*args, **kwargs)
        weights.append(terms.log_weight.unflatten(1, (-1, 5)))
        return terms

    model.forward = spy  # type: ignore[method-assign]
    bound = importance_bound(model, data, samples, [0])
    together = torch.cat(weights, 1)
    assert together.shape[1] == samples
    assert bound.value[0] == pytest.approx(float((together.logsumexp(1) - math.log(samples)).mean()), abs=1e-12)


class Encoder(torch.nn.Module):
    """mu = weight * input + jitter, with a chosen spread: which unit carries what is known by construction."""

    def __init__(self, weight: list[list[float]], std: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([weight], dtype=torch.float64))
        self.std = std

    def forward(self, x: Tensor):  # type: ignore[no-untyped-def]
        from hvae_core.networks.normal import Normal

        mean = x.flatten(2).expand(len(self.weight), -1, -1) @ self.weight
        return Normal(mean, torch.full_like(mean, self.std))


def encoders(posteriors: list[Encoder], latents: list[tuple[int, ...]]) -> HVAE:
    """Build a model whose inference alone is meant."""
    networks = Networks(posteriors, [torch.nn.Identity()] * (len(posteriors) - 1), torch.nn.Identity())
    return HVAE(networks, latents, IMAGE, Bernoulli())


def test_active_units_count_information_and_path_units_count_noise() -> None:
    """Layer 1 has an informative, a faint and a dead unit; layer 2 hears the informative one, and one full of noise.

    Pixel variance is 1/4. Unit variances by construction: layer 1: 1/4, 0.0025 (below 0.01), 0. Layer 2: one hears unit
    1 of layer 1 (active), one hears only the dead unit's noise (inactive, but its mean varies along one path).
    """
    first = Encoder([[1.0, 0.1, 0.0], [0.0, 0.0, 0.0]], 0.5)
    second = Encoder([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], 1.0)
    model = encoders([first, second], [(3,), (2,)])
    data = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.uint8).repeat(100, 1).view(-1, 1, 1, 2)
    found = active_units(model, data, [0], "test")
    assert found.au.tolist() == [[1, 1]]
    assert found.au_path.tolist() == [[1, 2]]
    assert found.share[0, 0] == 1, "layer 1 is inferred from the image alone"
    # Layer 2: one unit has the image's 1/4 and noise of 1/4, the other noise of 1/4 alone.
    assert found.share[0, 1] == pytest.approx(1 / 3, abs=0.02)


def test_within_x_variance_is_subtracted() -> None:
    """A unit that hears nothing but noise of variance 1/4 would show 0.25 / 32 = 0.008, and of variance 1, 0.03."""
    first = Encoder([[0.0]], 1.0)
    model = encoders([first, Encoder([[1.0]], 1.0)], [(1,), (1,)])
    found = active_units(model, images(1000, 1), [0], "test")
    assert found.au.tolist() == [[0, 0]]
    assert found.au_path.tolist() == [[0, 1]]
    assert found.share[0, 0] == 0, "a mean that never varies carries nothing"
    assert found.share[0, 1] == pytest.approx(0, abs=0.01)


@given(
    st.lists(st.floats(0.2, 2), min_size=3, max_size=3),
    st.lists(st.floats(0.2, 2), min_size=3, max_size=3),
    st.integers(0, 2**31),
)
@settings(max_examples=15, deadline=None)
def test_share_of_a_linear_chain_is_its_closed_form(slopes: list[float], stds: list[float], seed: int) -> None:
    """One unit a layer, mu_i = a_i z_{i-1}: the image's variance passes up as a^2 v, the noise as a^2 (n + s^2)."""
    model = encoders([Encoder([[a]], s) for a, s in zip(slopes, stds, strict=True)], [(1,)] * 3)
    data = images(1000, 1)
    signal, noise = float(data.double().var()), 0.0
    expected = []
    for a, s in zip(slopes, stds, strict=True):
        signal, noise = a * a * signal, a * a * noise
        expected.append(signal / (signal + noise))
        noise += s * s
    assert expected[0] == 1
    share = active_units(model, data, [seed], "test").share[0]
    assert share[0] == 1
    np.testing.assert_allclose(share, expected, rtol=0.12, atol=0.01)


def test_members_of_one_seed_share_noise_and_a_member_alone_gets_the_same() -> None:
    spec, data = parse_model("mlp2x3h4"), images(40, 6)
    pack = build(spec, IMAGE, [4, 9, 4], torch.float64)
    together = evaluate(pack, data, [4, 9, 4], "test")
    assert together.elbo[0] == pytest.approx(together.elbo[2], abs=1e-12)
    alone = evaluate(build(spec, IMAGE, [9], torch.float64), data, [9], "test")
    assert together.elbo[1] == pytest.approx(alone.elbo[0], abs=1e-10)
    assert together.row(1)["kl_top"] == pytest.approx(alone.row(0)["kl_top"], abs=1e-10)
    bound, single = (
        importance_bound(pack, data, 12, [4, 9, 4]).value,
        importance_bound(build(spec, IMAGE, [9], torch.float64), data, 12, [9]).value,
    )
    assert bound[1] == pytest.approx(single[0], abs=1e-10)


def test_evaluation_repeats_itself_and_ignores_the_global_generator() -> None:
    model = build(parse_model("mlp2x3h4"), IMAGE, [0], torch.float64)
    first = evaluate(model, images(20, 6), [0], "valid")
    torch.manual_seed(123)
    torch.randn(7)
    again = evaluate(model, images(20, 6), [0], "valid")
    other = evaluate(model, images(20, 6), [0], "test")
    assert first.elbo[0] == again.elbo[0]
    assert first.elbo[0] != other.elbo[0]


@pytest.mark.parametrize("measure", ["elbo", "recon", "bound"])
def test_an_image_has_the_noise_of_its_place_whatever_else_is_there(
    measure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two blocks the second's part is the same whatever the first holds and however it is taken off."""
    monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(bounds_module, "BOUND_BLOCK", 4)
    model = build(parse_model("mlp2x3h4"), IMAGE, [0], torch.float64)

    def total(data: Tensor) -> float:
        if measure == "bound":
            return len(data) * float(importance_bound(model, data, 7, [0]).value[0])
        return len(data) * float(getattr(evaluate(model, data, [0], "test"), measure)[0])

    first, other, second = images(4, 6), images(4, 6, seed=1), images(4, 6, seed=2)
    part = total(torch.cat([first, second])) - total(first)
    assert part == pytest.approx(total(torch.cat([other, second])) - total(other), abs=1e-9)
    assert part != pytest.approx(total(second), abs=1e-6), "the second block reuses the first's noise"


def test_evaluation_makes_every_tensor_on_the_images_device() -> None:
    """Where another device is the default, whatever is made without a word about its device lies on the wrong one."""
    model = build(parse_model("mlp2x3h4"), IMAGE, [0, 1])
    data = images(20, 6)

    def numbers() -> list[float]:
        metrics, bound = evaluate(model, data, [0, 1], "test"), importance_bound(model, data, 7, [0, 1])
        return [*metrics.row(0).values(), *metrics.row(1).values(), *bound.value, *bound.standard_error]

    expected = numbers()
    with torch.device("meta"):
        assert numbers() == expected


def test_active_units_do_not_depend_on_how_a_data_set_is_sorted() -> None:
    """A unit for each of ten classes, images sorted by class: the first thousand would show three of them."""
    classes, each = 10, 400
    model = build(parse_model(f"mlp1x{classes}h{classes}"), ImageSpec((1, 1, classes)), [0])
    with torch.no_grad():
        for name, weight in model.posteriors[0].named_parameters():
            weight.zero_()
            if name.endswith("weight"):
                weight[0, :, :classes] = 3 * torch.eye(classes)
    data = torch.eye(classes, dtype=torch.uint8).repeat_interleave(each, 0).view(-1, 1, 1, classes)
    metrics = evaluate(model, data, [0], "test")
    assert (metrics.au[0, 0], metrics.au_path[0, 0]) == (classes, classes)
