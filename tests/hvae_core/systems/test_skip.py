"""Stochastic skip connections: p(z_i | z_{i+1}, ..., z_L), against closed forms on a linear-Gaussian net."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.networks.base import Networks
from hvae_core.streams import SeedStreams
from hvae_core.systems.build import build
from hvae_core.systems.hvae import HVAE
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from tests.hvae_core.conftest import GaussianLikelihood, LinearConditional, LinearDecoder

WIDTHS, DATA, DRAWS = (3, 2, 2), 4, 100_000
X = np.array([0.4, -1.0, 0.7, 0.2])


def link(g: torch.Generator, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    return 0.5 * draw(1, inputs, outputs), 0.3 * draw(1, 1, outputs), 0.5 + draw(1, 1, outputs).abs()


@pytest.fixture
def model() -> HVAE:
    g = torch.Generator().manual_seed(5)
    posteriors = [LinearConditional(*link(g, i, o)) for i, o in zip((DATA, *WIDTHS[:-1]), WIDTHS, strict=True)]
    priors = [LinearConditional(*link(g, sum(WIDTHS[i + 1 :]), WIDTHS[i])) for i in range(2)]
    decoder = LinearDecoder(*link(g, sum(WIDTHS), DATA))
    networks = Networks(posteriors, priors, decoder, skip=True)
    image = ImageSpec((1, 1, DATA))
    return HVAE(networks, [(width,) for width in WIDTHS], image, GaussianLikelihood(decoder.std))


def numpy_of(module: LinearConditional) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return module.weight.detach().numpy()[0].T, module.bias.detach().numpy()[0, 0], module.std.numpy()[0, 0]


def posterior(model: HVAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of (z_1, z_2, z_3) given x, as one vector."""
    ends = np.cumsum((0, *WIDTHS))
    mean, covariance = np.zeros(ends[-1]), np.zeros((ends[-1], ends[-1]))
    for i, module in enumerate(model.posteriors):
        A, a, s = numpy_of(module)  # type: ignore[arg-type]
        own, below = slice(ends[i], ends[i + 1]), slice(ends[i - 1], ends[i]) if i else None
        mean[own] = A @ (x if below is None else mean[below]) + a
        covariance[own, own] = np.diag(s**2)
        if below is not None:
            cross = A @ covariance[below, : ends[i]]
            covariance[own, : ends[i]], covariance[: ends[i], own] = cross, cross.T
            covariance[own, own] += A @ covariance[below, below] @ A.T
    return mean, covariance


def expected(mean: np.ndarray, covariance: np.ndarray, std: np.ndarray) -> float:
    """E log N(r; 0, std^2) of a normal residual r."""
    return float(-0.5 * np.sum((mean**2 + np.diag(covariance)) / std**2 + np.log(2 * np.pi * std**2)))


def closed_form(model: HVAE, x: np.ndarray) -> tuple[float, list[float]]:
    """Reconstruction and the KL term of each layer."""
    mean, covariance = posterior(model, x)
    ends = np.cumsum((0, *WIDTHS))
    C, c, t = numpy_of(model.likelihood.network)  # type: ignore[arg-type]
    recon = expected(x - C @ mean - c, C @ covariance @ C.T, t)
    kls = []
    for i, module in enumerate(model.posteriors):
        s_q = numpy_of(module)[2]  # type: ignore[arg-type]
        entropy = -0.5 * np.sum(1 + np.log(2 * np.pi * s_q**2))
        R = np.zeros((WIDTHS[i], ends[-1]))
        R[:, ends[i] : ends[i + 1]] = np.eye(WIDTHS[i])
        w, s = np.zeros(WIDTHS[i]), np.ones(WIDTHS[i])
        if i < len(model.priors):
            W, w, s = numpy_of(model.priors[i])  # type: ignore[arg-type]
            R[:, ends[i + 1] :] = -W
        kls.append(entropy - expected(R @ mean - w, R @ covariance @ R.T, s))
    return recon, kls


def one_pass(model: HVAE, smoothing: OrnsteinUhlenbeck | None = None, K: int = 0, draws: int = DRAWS):  # type: ignore[no-untyped-def]
    x = torch.from_numpy(X).expand(1, draws, 1, 1, -1)
    flat = SeedStreams([0], "test").normal(model.noise_size(draws, K), dtype=torch.float64)
    with torch.no_grad():
        return model(x, model.split_noise(flat, draws, K), smoothing)


def agrees(sample: Tensor, exact: float) -> bool:
    return abs(float(sample.mean()) - exact) < 4.5 * float(sample.std()) / math.sqrt(len(sample))


def test_every_term_equals_its_closed_form(model: HVAE) -> None:
    terms = one_pass(model)
    recon, kls = closed_form(model, X)
    assert agrees(terms.recon[0], recon)
    for i, exact in enumerate(kls):
        assert agrees(terms.kl[i, 0], exact), f"layer {i + 1}"
    assert agrees(terms.elbo[0], recon - sum(kls))
    assert agrees(terms.log_weight[0], recon - sum(kls))


def test_only_what_depends_on_the_next_layer_is_smoothed(model: HVAE) -> None:
    """A prior that reads the further layer alone is what it was at any rho; one that reads the next layer is not."""
    smoothing = OrnsteinUhlenbeck(torch.tensor([0.3], dtype=torch.float64))
    for form in ("mean_std", "ratio"):
        smoothed = one_pass(model, OrnsteinUhlenbeck(smoothing.rho, form), 3, draws=500)
        assert not torch.allclose(smoothed.kl[0], one_pass(model, draws=500).kl[0])
    prior = model.priors[0]
    assert isinstance(prior, LinearConditional)
    with torch.no_grad():
        prior.weight[:, : WIDTHS[1]] = 0.0
    torch.testing.assert_close(one_pass(model, smoothing, 3, draws=500).kl[0, 0], plain(model, 3), rtol=0, atol=1e-12)


def plain(model: HVAE, K: int) -> Tensor:
    """KL of layer 1 without smoothing, from the same draws as a smoothed pass."""
    x = torch.from_numpy(X).expand(1, 500, 1, 1, -1)
    flat = SeedStreams([0], "test").normal(model.noise_size(500, K), dtype=torch.float64)
    with torch.no_grad():
        kl: Tensor = model(x, model.split_noise(flat, 500, K)).kl
    return kl[0, 0]


def test_samples_have_the_moments_of_the_hierarchy(model: HVAE) -> None:
    g = torch.Generator().manual_seed(1)
    noise = [torch.randn(1, DRAWS, w, dtype=torch.float64, generator=g) for w in WIDTHS]
    images = model.generate(noise)[0].flatten(1).numpy()
    mean, covariance = np.zeros(2), np.eye(2)  # of the layers above, the nearest first
    for module in (*reversed(list(model.priors)), model.likelihood.network):
        W, w, s = numpy_of(module)  # type: ignore[arg-type]
        own = W @ mean + w
        cross = W @ covariance
        top = np.block([[cross @ W.T + np.diag(s**2), cross], [cross.T, covariance]])
        mean, covariance = np.concatenate([own, mean]), top
    std = numpy_of(model.likelihood.network)[2]  # type: ignore[arg-type]
    np.testing.assert_allclose(images.mean(0), mean[:DATA], atol=0.02)
    np.testing.assert_allclose(np.cov(images.T), covariance[:DATA, :DATA] - np.diag(std**2), atol=0.05, rtol=0.02)


def test_reconstruction_reads_all_layers() -> None:
    spec = parse_model("resnet3x2x2x2b1f3skip")
    model = build(spec, ImageSpec((1, 4, 4)), [1, 2], torch.float64)
    g = torch.Generator().manual_seed(0)
    noise = [torch.randn(1, 3, *shape, generator=g, dtype=torch.float64) for shape in model.latents]
    x = torch.ones(1, 3, 1, 4, 4, dtype=torch.float64)
    once = model.reconstruct(x, noise)
    noise[-1] = noise[-1] + 1
    assert not torch.equal(model.reconstruct(x, noise), once)
    assert once.shape == (2, 3, 1, 4, 4)
