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

from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.normal import Normal
from hvae_core.systems.hvae import HVAE


class LinearConditional(nn.Module):
    """N(W z + b, diag(s^2)) with fixed s, stacked: weight (M, I, O), bias and std (M, 1, O)."""

    def __init__(self, weight: Tensor, bias: Tensor, std: Tensor) -> None:
        super().__init__()
        self.weight, self.bias, self.std = nn.Parameter(weight), nn.Parameter(bias), std

    def forward(self, z: Tensor) -> Normal:
        mean = z.expand(len(self.weight), -1, -1) @ self.weight + self.bias
        return Normal(mean, self.std.expand_as(mean))


class GaussianLikelihood(Likelihood):
    def __init__(self, conditional: LinearConditional) -> None:
        super().__init__()
        self.conditional = conditional

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        p: Normal = self.conditional(z)
        return p.log_prob(x.expand_as(p.mean))

    def mean(self, z: Tensor) -> Tensor:
        p: Normal = self.conditional(z)
        return p.mean


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
        C, c, t = self._numpy(self.model.likelihood.conditional, m)  # type: ignore[arg-type]
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
        for module in [*reversed(self.model.priors), self.model.likelihood.conditional]:
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

    def conditional(inputs: int, outputs: int) -> LinearConditional:
        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=g, dtype=torch.float64)

        return LinearConditional(
            0.6 * draw(M, inputs, outputs), 0.3 * draw(M, 1, outputs), 0.5 + draw(M, 1, outputs).abs()
        )

    below = (data, *widths[:-1])
    posteriors = [conditional(i, o) for i, o in zip(below, widths, strict=True)]
    priors = [conditional(o, i) for i, o in zip(below[1:], widths[1:], strict=True)]
    return LinearGaussian(HVAE(posteriors, priors, GaussianLikelihood(conditional(widths[0], data))), widths)


@pytest.fixture
def chain() -> Callable[[float], LinearGaussian]:
    """Build a scalar hierarchy x <- z_1 <- z_2 <- z_3 whose q is the exact posterior, its stds inflated."""

    def build(inflate: float) -> LinearGaussian:
        def conditional(weight: float, bias: float, std: float) -> LinearConditional:
            return LinearConditional(*(torch.full((1, 1, 1), v, dtype=torch.float64) for v in (weight, bias, std)))

        downwards = [(0.9, 0.1, 0.6), (-1.1, 0.3, 0.5), (0.8, -0.2, 0.7)]  # x|z_1, z_1|z_2, z_2|z_3
        mean, variance = 0.0, 1.0
        upwards = []
        for weight, bias, std in reversed(downwards):  # Bayes' rule for one link, from the marginal above it
            below_mean, below_variance = weight * mean + bias, weight**2 * variance + std**2
            gain = variance * weight / below_variance
            spread = math.sqrt(variance - gain * weight * variance)
            upwards.append((gain, mean - gain * below_mean, inflate * spread))
            mean, variance = below_mean, below_variance
        model = HVAE(
            [conditional(*link) for link in reversed(upwards)],
            [conditional(*link) for link in downwards[1:]],
            GaussianLikelihood(conditional(*downwards[0])),
        )
        return LinearGaussian(model, (1, 1, 1))

    return build
