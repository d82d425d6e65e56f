"""The other systems with linear networks and fixed widths: their ELBO is a Gaussian expectation with a closed form.

The oracle knows nothing of torch: every variable is an affine map c + A e of the pass's standard normal noise e, in
numpy, and E log N(v; u, s) follows from that of v - u. The system's own ELBO is quadratic in e where its networks are
linear, so that f(0) + 1/2 sum_i [f(e_i) + f(-e_i) - 2 f(0)] over unit vectors is its expectation, without sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hvae_core.image import ImageSpec
from hvae_core.likelihoods.base import Likelihood
from hvae_core.networks.base import Networks
from hvae_core.networks.normal import Normal
from hvae_core.networks.parts import Conditional, Rung
from hvae_core.systems.base import System
from hvae_core.systems.biva import BIVA
from hvae_core.systems.lvae import LadderVAE, merged
from hvae_core.systems.vampprior import VampPriorVAE

Vector = NDArray[np.float64]
DATA, FEATURES, IMAGE = 4, 3, ImageSpec((1, 1, 4))


class Linear(nn.Module):
    """x -> x W^T + b, as features; draws its own weights."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int) -> None:
        super().__init__()
        self.W, self.b = 0.6 * rng.standard_normal((outputs, inputs)), 0.3 * rng.standard_normal(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2) @ torch.from_numpy(self.W).T + torch.from_numpy(self.b)


class Gauss(nn.Module):
    """x -> N(x W^T + b, s^2) with fixed s."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mean, self.s = Linear(rng, inputs, outputs), rng.uniform(0.5, 1.5, outputs)

    def forward(self, x: Tensor) -> Normal:
        mean = self.mean(x)
        return Normal(mean, torch.from_numpy(self.s).expand_as(mean))


class Pixels(Likelihood):
    """N(out, s^2) for images of one row."""

    outputs = 1

    def __init__(self, s: Vector) -> None:
        self.s = s

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        return Normal(out.flatten(2), torch.from_numpy(self.s)).log_prob(x.flatten(2))

    def mean(self, out: Tensor) -> Tensor:
        return out

    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        raise NotImplementedError

    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        raise NotImplementedError


class Decoder(Linear):
    """The mean image of latents."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, None, None]


@dataclass
class Affine:
    """c + A e."""

    c: Vector
    A: Vector

    def __add__(self, other: Affine) -> Affine:
        return Affine(self.c + other.c, self.A + other.A)

    def __sub__(self, other: Affine) -> Affine:
        return Affine(self.c - other.c, self.A - other.A)

    def through(self, layer: Linear) -> Affine:
        return Affine(layer.W @ self.c + layer.b, layer.W @ self.A)

    def scaled(self, by: Vector) -> Affine:
        return Affine(by * self.c, by[:, None] * self.A)


def joined(*parts: Affine) -> Affine:
    return Affine(np.concatenate([part.c for part in parts]), np.concatenate([part.A for part in parts]))


def expected(v: Affine, u: Affine, s: Vector) -> float:
    """E log N(v; u, s^2)."""
    apart = v - u
    square = apart.c**2 + (apart.A**2).sum(1)
    return float(-0.5 * np.sum(square / s**2 + np.log(2 * np.pi * s**2)))


def entropy(s: Vector) -> float:
    """Entropy of a normal of these widths: -E log q."""
    return float(0.5 * np.sum(1 + np.log(2 * np.pi * s**2)))


class Draws:
    """The noise of a pass as affine variables, layer 1 first, and constants in the same space."""

    def __init__(self, widths: Sequence[int]) -> None:
        self.total = sum(widths)
        starts = np.cumsum([0, *widths])
        eye = np.eye(self.total)
        self.layers = [Affine(np.zeros(n), eye[a : a + n]) for a, n in zip(starts, widths, strict=False)]

    def constant(self, values: Vector) -> Affine:
        return Affine(values, np.zeros((len(values), self.total)))


def expectation(model: System, x: Vector, term: Callable[[Tensor, object], Tensor]) -> float:
    """E of a quadratic function of the noise of one example, from its values at zero and at +- unit vectors."""
    n = sum(math.prod(shape) for shape in model.latents)
    rows = np.concatenate([np.zeros((1, n)), np.eye(n), -np.eye(n)])
    # split_noise cuts a flat draw layer by layer: a row of it is one example's noise of all layers.
    pieces = np.split(rows, np.cumsum([shape[0] for shape in model.latents])[:-1], axis=1)
    flat = torch.from_numpy(np.concatenate([piece.ravel() for piece in pieces]))[None]
    noise = model.split_noise(flat, len(rows))
    images = torch.from_numpy(x).view(1, 1, 1, 1, -1).expand(1, len(rows), 1, 1, -1)
    values = term(images, noise)[0].detach().numpy()
    return float(values[0] + 0.5 * np.sum(values[1 : n + 1] + values[n + 1 :] - 2 * values[0]))


def elbo_of(model: System) -> Callable[[Tensor, object], Tensor]:
    return lambda images, noise: model(images, noise).elbo


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_the_merge_is_the_normalised_product_of_two_normals(rng: np.random.Generator) -> None:
    """On a grid: the product of the densities, divided by its integral, is the density of the merge."""
    for mean_a, s_a, mean_b, s_b in rng.uniform(0.2, 2.0, (5, 4)):
        one, other = (Normal(*torch.tensor([[m], [s]], dtype=torch.float64)) for m, s in ((mean_a, s_a), (mean_b, s_b)))
        both = merged(one, other)
        z, step = np.linspace(-12, 12, 40_001, retstep=True)

        def density(mean: float, s: float, at: Vector = z) -> Vector:
            return np.asarray(np.exp(-0.5 * ((at - mean) / s) ** 2) / (s * math.sqrt(2 * math.pi)))

        product = density(mean_a, s_a) * density(mean_b, s_b)
        found = density(float(both.mean), float(both.std))
        np.testing.assert_allclose(product / (product.sum() * step), found, rtol=0, atol=1e-10)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("widths", [(3, 2, 2), (3, 2), (2,)])
def test_a_linear_ladders_elbo(rng: np.random.Generator, widths: tuple[int, ...], skip: bool) -> None:
    L = len(widths)
    inputs = [DATA, *[FEATURES] * (L - 1)]
    rungs = [Rung(Linear(rng, n, FEATURES), Gauss(rng, FEATURES, w)) for n, w in zip(inputs, widths, strict=True)]

    def above(i: int) -> int:
        return sum(widths[i:] if skip else widths[i : i + 1])

    priors = [Gauss(rng, above(i + 1), widths[i]) for i in range(L - 1)]
    decoder, pixels = Decoder(rng, above(0), DATA), Pixels(rng.uniform(0.5, 1.5, DATA))
    model = LadderVAE(Networks(rungs, priors, decoder, skip=skip), [(w,) for w in widths], IMAGE, pixels)
    x, e = rng.standard_normal(DATA), Draws(widths)
    seen, d = [], e.constant(x)
    for rung in rungs:
        d = d.through(rung.trunk)  # type: ignore[arg-type]
        seen.append((d.through(rung.head.mean), rung.head.s))  # type: ignore[arg-type]
    z: list[Affine] = [seen[-1][0] + e.layers[-1].scaled(seen[-1][1])]  # type: ignore[arg-type]
    total = entropy(seen[-1][1]) + expected(z[0], e.constant(np.zeros(widths[-1])), np.ones(widths[-1]))  # type: ignore[arg-type]
    for i in reversed(range(L - 1)):
        (mean, s), prior = seen[i], priors[i]
        p = (joined(*z) if skip else z[0]).through(prior.mean)
        precision = 1 / s**2 + 1 / prior.s**2  # type: ignore[operator]
        q = mean.scaled(1 / s**2 / precision) + p.scaled(1 / prior.s**2 / precision)  # type: ignore[operator]
        z.insert(0, q + e.layers[i].scaled(precision**-0.5))
        total += entropy(precision**-0.5) + expected(z[0], p, prior.s)
    total += expected(e.constant(x), (joined(*z) if skip else z[0]).through(decoder), pixels.s)
    assert expectation(model, x, elbo_of(model)) == pytest.approx(total, rel=1e-10)
    weight = expectation(model, x, lambda images, noise: model(images, noise).log_weight)
    assert weight == pytest.approx(total, rel=1e-10), "the sampled ratios have the same expectation"


@pytest.mark.parametrize("widths", [(4, 5, 2), (3, 2), (2,)])
def test_a_linear_bivas_elbo(rng: np.random.Generator, widths: tuple[int, ...]) -> None:
    L, F = len(widths), FEATURES
    first = [w // 2 for w in widths]
    inputs = [DATA, *(F + first[i] for i in range(L - 1))]
    outputs = [*first[:-1], widths[-1]]
    up = [Rung(Linear(rng, n, F), Gauss(rng, F, w)) for n, w in zip(inputs, outputs, strict=True)]
    aside = [Conditional(Linear(rng, 2 * F, F), Gauss(rng, F, widths[i] - first[i])) for i in range(L - 1)]
    below = [widths[i + 1] + (F if i < L - 2 else 0) for i in range(L - 1)]
    down = [Rung(Linear(rng, below[i], F), Gauss(rng, F, widths[i])) for i in range(L - 1)]
    decoder = Decoder(rng, widths[0] + (F if L > 1 else 0), DATA)
    pixels = Pixels(rng.uniform(0.5, 1.5, DATA))
    model = BIVA(Networks(up, down, decoder), aside, [(w,) for w in widths], IMAGE, pixels)
    x, e = rng.standard_normal(DATA), Draws(widths)

    def gauss(of: Affine, module: object, noise: Affine) -> tuple[Affine, Vector]:
        head: Gauss = module  # type: ignore[assignment]
        return of.through(head.mean) + noise.scaled(head.s), head.s

    def cut(noise: Affine, a: int, b: int) -> Affine:
        return Affine(noise.c[a:b], noise.A[a:b])

    total, d, read, us = 0.0, [], e.constant(x), []
    for i, rung in enumerate(up):
        d.append(read.through(rung.trunk))  # type: ignore[arg-type]
        u, s = gauss(d[-1], rung.head, cut(e.layers[i], 0, outputs[i]))
        us.append(u)
        total += entropy(s)
        read = joined(d[-1], u)
    z, h = [us[-1]], None
    total += expected(z[0], e.constant(np.zeros(widths[-1])), np.ones(widths[-1]))
    for i in reversed(range(L - 1)):
        h = (z[0] if h is None else joined(h, z[0])).through(down[i].trunk)  # type: ignore[arg-type]
        t, s = gauss(joined(d[i], h).through(aside[i].trunk), aside[i].head, cut(e.layers[i], first[i], widths[i]))  # type: ignore[arg-type]
        z.insert(0, joined(us[i], t))
        prior: Gauss = down[i].head  # type: ignore[assignment]
        total += entropy(s) + expected(z[0], h.through(prior.mean), prior.s)
    total += expected(e.constant(x), (z[0] if h is None else joined(z[0], h)).through(decoder), pixels.s)
    assert expectation(model, x, elbo_of(model)) == pytest.approx(total, rel=1e-10)


def vamp(rng: np.random.Generator, widths: tuple[int, ...], pseudo_inputs: int) -> VampPriorVAE:
    features = Linear(rng, DATA, FEATURES)
    posteriors: list[nn.Module] = [Gauss(rng, FEATURES, widths[-1])]
    priors = []
    if len(widths) == 2:
        posteriors.insert(0, Gauss(rng, FEATURES + widths[1], widths[0]))
        priors = [Gauss(rng, widths[1], widths[0])]
    networks = Networks(posteriors, priors, Decoder(rng, sum(widths), DATA), skip=True)
    shapes = [(w,) for w in widths]
    model = VampPriorVAE(
        networks, features, shapes, IMAGE, Pixels(rng.uniform(0.5, 1.5, DATA)), members=1, pseudo_inputs=pseudo_inputs
    )
    return model.double()


@pytest.mark.parametrize("widths", [(3, 2), (2,)])
def test_equal_pseudo_inputs_are_one_posterior_as_prior(rng: np.random.Generator, widths: tuple[int, ...]) -> None:
    """The closed form of a linear VAE whose top prior is q(z_L | u)."""
    model, x, u, e = vamp(rng, widths, 7), rng.standard_normal(DATA), rng.uniform(0, 1, DATA), Draws(widths)
    with torch.no_grad():
        model.pseudo_inputs.copy_(torch.from_numpy(u).expand_as(model.pseudo_inputs))
    features: Linear = model.features  # type: ignore[assignment]
    top: Gauss = model.posteriors[-1]  # type: ignore[assignment]
    seen = e.constant(x).through(features)
    z = [seen.through(top.mean) + e.layers[-1].scaled(top.s)]
    total = entropy(top.s) + expected(z[0], e.constant(u).through(features).through(top.mean), top.s)
    if len(widths) == 2:
        q, p = model.posteriors[0], model.priors[0]
        z.insert(0, joined(seen, z[0]).through(q.mean) + e.layers[0].scaled(q.s))  # type: ignore[arg-type]
        total += entropy(q.s) + expected(z[0], z[1].through(p.mean), p.s)  # type: ignore[arg-type]
    decoder: Decoder = model.likelihood.network  # type: ignore[assignment]
    total += expected(e.constant(x), joined(*z).through(decoder), model.likelihood.likelihood.s)  # type: ignore[attr-defined]
    assert expectation(model, x, elbo_of(model)) == pytest.approx(total, rel=1e-10)


def test_its_density_is_the_mean_of_the_components(rng: np.random.Generator) -> None:
    """Against numpy's sum of densities; pseudo-inputs beyond [0, 1] count at its ends."""
    model = vamp(rng, (3, 2), 5)
    inputs = rng.uniform(-0.5, 1.5, (5, DATA))
    with torch.no_grad():
        model.pseudo_inputs.copy_(torch.from_numpy(inputs).view(1, 5, 1, 1, DATA))
    z = rng.standard_normal((6, 2))
    features: Linear = model.features  # type: ignore[assignment]
    top: Gauss = model.posteriors[-1]  # type: ignore[assignment]
    means = (inputs.clip(0, 1) @ features.W.T + features.b) @ top.mean.W.T + top.mean.b
    apart = (z[:, None] - means) / top.s
    densities = np.exp(-0.5 * (apart**2).sum(-1)) / (2 * np.pi * np.prod(top.s))
    found = model.top.log_prob(torch.from_numpy(z)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, np.log(densities.mean(1)), rtol=1e-12)


def test_draws_of_the_mixture_come_from_every_component(rng: np.random.Generator) -> None:
    """Moments of many draws are those of the mixture, and noise does not tell its component."""
    model = vamp(rng, (2,), 3)
    with torch.no_grad():
        model.pseudo_inputs.copy_(torch.from_numpy(rng.uniform(0, 1, (1, 3, 1, 1, DATA))))
        components = model.top.components()  # type: ignore[attr-defined]
        noise = torch.from_numpy(rng.standard_normal((1, 60_000, 2)))
        drawn = model.top.sample(noise)[0].numpy()
    means, s = components.mean[0].numpy(), components.std[0, 0].numpy()
    np.testing.assert_allclose(drawn.mean(0), means.mean(0), atol=0.03)
    np.testing.assert_allclose(drawn.var(0), s**2 + means.var(0), rtol=0.03)
    nearest = np.abs((drawn - s * noise[0].numpy())[:, None] - means).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=3) / len(drawn)
    np.testing.assert_allclose(counts, 1 / 3, atol=0.01)
    for k in range(3):
        np.testing.assert_allclose(noise[0].numpy()[nearest == k].mean(0), 0, atol=0.03)
