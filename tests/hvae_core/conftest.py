"""An exactly solvable hierarchy: every conditional linear and Gaussian, so every expectation has a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.systems.hvae import HVAE


class LinearConditional(nn.Module):
    """N(W z + b, diag(s^2)) with fixed s, stacked: weight (M, I, O), bias and std (M, 1, O)."""

    def __init__(self, weight: Tensor, bias: Tensor, std: Tensor) -> None:
        super().__init__()
        self.weight, self.bias, self.std = nn.Parameter(weight), nn.Parameter(bias), std

    def forward(self, z: Tensor) -> Normal:
        mean = z.flatten(2).expand(len(self.weight), -1, -1) @ self.weight + self.bias
        return Normal(mean, self.std.expand_as(mean))


class LinearDecoder(LinearConditional):
    """The mean of a linear conditional, as images of one row of pixels."""

    def forward(self, z: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(z).mean[:, :, None, None]


class GaussianLikelihood(Likelihood):
    """N(out, s^2) with fixed s (M, 1, P), for images of one row of pixels."""

    outputs = 1

    def __init__(self, std: Tensor) -> None:
        self.std = std

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        return Normal(out.flatten(2), self.std).log_prob(x.flatten(2))

    def mean(self, out: Tensor) -> Tensor:
        return out

    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        noise: Tensor = math.sqrt(2) * torch.erfinv(2 * uniform - 1)
        drawn: Tensor = out + self.std.unflatten(1, (1, 1, 1)) * noise
        return drawn

    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        return mean


def hierarchy(
    posteriors: list[LinearConditional],
    priors: list[LinearConditional],
    decoder: LinearDecoder,
    widths: tuple[int, ...],
) -> HVAE:
    image = ImageSpec((1, 1, decoder.weight.shape[-1]))
    latents = [(width,) for width in widths]
    return HVAE(Networks(posteriors, priors, decoder), latents, image, GaussianLikelihood(decoder.std))


@dataclass
class LinearGaussian:
    """M linear-Gaussian hierarchies of widths 3-2-2 on data of 4 dimensions, with numpy oracles."""

    model: HVAE
    widths: tuple[int, ...]

    def _numpy(self, module: LinearConditional, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight = module.weight.detach().numpy()[m].T
        return weight, module.bias.detach().numpy()[m, 0], module.std.numpy()[m, 0]

    def _posterior(self, x: np.ndarray, m: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
        """Means E[z_i] and covariances Cov(z_i, z_j), i <= j, under q(. | x)."""
        means: list[np.ndarray] = []
        covariance: list[list[np.ndarray]] = []
        for i, module in enumerate(self.model.posteriors):
            A, a, s = self._numpy(module, m)  # type: ignore[arg-type]
            means.append(A @ (means[-1] if means else x) + a)
            own = np.diag(s**2) + (A @ covariance[i - 1][0] @ A.T if i else 0)
            for j in range(i):
                covariance[j].append(covariance[j][i - 1 - j] @ A.T)
            covariance.append([own])
        return means, covariance

    def terms(self, x: np.ndarray, m: int) -> tuple[float, list[float]]:
        """E[log p(x|z_1)] and E[KL term of layer i], exactly."""
        means, covariance = self._posterior(x, m)
        C, c, t = self._numpy(self.model.likelihood.network, m)  # type: ignore[arg-type]
        recon = _expected_log_density(x - C @ means[0] - c, C @ covariance[0][0] @ C.T, t)
        kls = []
        for i, module in enumerate(self.model.posteriors):
            s_q = self._numpy(module, m)[2]  # type: ignore[arg-type]
            entropy = -0.5 * np.sum(1 + np.log(2 * np.pi * s_q**2))
            if i < len(means) - 1:
                W, w, s = self._numpy(self.model.priors[i], m)  # type: ignore[arg-type]
                cross = covariance[i][1] @ W.T
                spread = covariance[i][0] + W @ covariance[i + 1][0] @ W.T - cross - cross.T
                kls.append(entropy - _expected_log_density(means[i] - W @ means[i + 1] - w, spread, s))
            else:
                kls.append(entropy - _expected_log_density(means[i], covariance[i][0], np.ones(len(means[i]))))
        return float(recon), [float(value) for value in kls]

    def elbo(self, x: np.ndarray, m: int) -> float:
        recon, kls = self.terms(x, m)
        return recon - sum(kls)

    def log_likelihood(self, x: np.ndarray, m: int) -> float:
        """Exact log p(x)."""
        mean, covariance = np.zeros(self.widths[-1]), np.eye(self.widths[-1])
        for module in [*reversed(self.model.priors), self.model.likelihood.network]:
            W, w, s = self._numpy(module, m)  # type: ignore[arg-type]
            mean, covariance = W @ mean + w, W @ covariance @ W.T + np.diag(s**2)
        return float(multivariate_normal.logpdf(x, mean, covariance))


def _expected_log_density(mean: np.ndarray, covariance: np.ndarray, std: np.ndarray) -> float:
    """E[log N(r; 0, diag(std^2))] of a residual r with that mean and covariance."""
    return float(-0.5 * np.sum((mean**2 + np.diag(covariance)) / std**2 + np.log(2 * np.pi * std**2)))


@pytest.fixture
def linear() -> LinearGaussian:
    g = torch.Generator().manual_seed(7)
    M, data, widths = 2, 4, (3, 2, 2)

    def link(inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=g, dtype=torch.float64)

        return 0.6 * draw(M, inputs, outputs), 0.3 * draw(M, 1, outputs), 0.5 + draw(M, 1, outputs).abs()

    below = (data, *widths[:-1])
    posteriors = [LinearConditional(*link(i, o)) for i, o in zip(below, widths, strict=True)]
    priors = [LinearConditional(*link(o, i)) for i, o in zip(below[1:], widths[1:], strict=True)]
    return LinearGaussian(hierarchy(posteriors, priors, LinearDecoder(*link(widths[0], data)), widths), widths)


@pytest.fixture
def chain() -> Callable[[float], LinearGaussian]:
    """Build a scalar hierarchy x <- z_1 <- z_2 <- z_3 whose q is the exact posterior, its stds inflated."""

    def build(inflate: float) -> LinearGaussian:
        def link(*values: float) -> list[Tensor]:
            return [torch.full((1, 1, 1), value, dtype=torch.float64) for value in values]

        downwards = [(0.9, 0.1, 0.6), (-1.1, 0.3, 0.5), (0.8, -0.2, 0.7)]  # x|z_1, z_1|z_2, z_2|z_3
        mean, variance = 0.0, 1.0
        upwards = []
        for weight, bias, std in reversed(downwards):  # Bayes' rule for one link, from the marginal above it
            below_mean, below_variance = weight * mean + bias, weight**2 * variance + std**2
            gain = variance * weight / below_variance
            spread = math.sqrt(variance - gain * weight * variance)
            upwards.append((gain, mean - gain * below_mean, inflate * spread))
            mean, variance = below_mean, below_variance
        model = hierarchy(
            [LinearConditional(*link(*values)) for values in reversed(upwards)],
            [LinearConditional(*link(*values)) for values in downwards[1:]],
            LinearDecoder(*link(*downwards[0])),
            (1, 1, 1),
        )
        return LinearGaussian(model, (1, 1, 1))

    return build
