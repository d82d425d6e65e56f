from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.spec import ObjectiveSpec, kl_weight
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import System, Terms
from hvae_core.systems.build import build
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.training.objective import Objective

SPEC = parse_model("mlp3x2h3")
NOW = torch.tensor(0)
IMAGE, BATCH = ImageSpec((1, 1, 5)), 6


def loss_of(model: System, objective: ObjectiveSpec, step: int = 7) -> Tensor:
    g = torch.Generator().manual_seed(4)
    x = torch.bernoulli(torch.full((1, BATCH, *IMAGE.shape), 0.5, dtype=torch.float64), generator=g)
    rows = BATCH * objective.iwae_k
    flat = SeedStreams([0], "n").normal(model.noise_size(rows, objective.ou_samples), dtype=torch.float64)
    noise = model.split_noise(flat, rows, objective.ou_samples)
    smoothing = OrnsteinUhlenbeck(torch.tensor([objective.rho], dtype=torch.float64), objective.smoothing)
    terms = model(x, noise, smoothing)
    return Objective([objective], torch.float64).loss(terms, torch.tensor(step))


@pytest.mark.parametrize(
    "settings",
    [
        {"rho": 1.0},
        {"rho": 0.6},
        {"rho": 0.6, "smoothing": "ratio"},
        {"rho": 0.6, "beta_top": 0.3},
        {"rho": 0.9, "kl_anneal": (2, 10)},
        {"rho": 1.0, "free_bits": 0.4},
        {"rho": 0.8, "iwae_k": 3},
    ],
    ids=str,
)
def test_gradients_equal_finite_differences(settings: dict[str, Any]) -> None:
    objective = ObjectiveSpec(ou_samples=2, **settings)
    model = build(SPEC, IMAGE, [3], torch.float64, torch.full(IMAGE.shape, 0.4))
    loss_of(model, objective).sum().backward()
    g = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        direction = torch.randn(parameter.shape, generator=g, dtype=torch.float64)
        ahead, behind, h = 0.0, 0.0, 1e-6
        with torch.no_grad():
            parameter.add_(h * direction)
            ahead = float(loss_of(model, objective))
            parameter.sub_(2 * h * direction)
            behind = float(loss_of(model, objective))
            parameter.add_(h * direction)
        slope = float((parameter.grad * direction).sum())
        assert (ahead - behind) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-7), name


def terms(recon: list[float], kl: list[list[float]]) -> Terms:
    """Terms of one member."""
    layers = torch.tensor(kl, dtype=torch.float64).unsqueeze(1)
    return Terms(torch.tensor([recon], dtype=torch.float64), layers, layers)


@pytest.mark.parametrize(
    ("settings", "step", "expected"),
    [
        ({}, 0, 10 - 1 + 4),  # -(recon - kl_1 - kl_2) of the batch means -10, -1 and 4
        ({"beta_top": 0.25}, 0, 10 - 1 + 1),
        ({"kl_anneal": (10, 20)}, 10, 10),
        ({"kl_anneal": (10, 20)}, 15, 10 + 0.25 * 3),
        ({"kl_anneal": (10, 20)}, 500, 10 + 3),
        ({"free_bits": 2.0}, 0, 10 + 2 + 4),  # the floor is under the minibatch mean of a layer, not an example
        ({"free_bits": 5.0}, 0, 10 + 5 + 5),
        ({"free_bits": 0.5, "beta_top": 0.5}, 0, 10 + 0.5 + 2),
    ],
)
def test_hand_worked(settings: dict[str, Any], step: int, expected: float) -> None:
    batch = terms([-8.0, -12.0], [[-3.0, 1.0], [0.0, 8.0]])
    objective = Objective([ObjectiveSpec(**settings)], torch.float64)
    assert float(objective.loss(batch, torch.tensor(step))) == pytest.approx(expected)


def test_iwae_is_the_log_of_the_mean_weight() -> None:
    """Two examples, two samples each, laid out as (k, B) along the batch."""
    log_weight = [[-1.0, -5.0], [-2.0, -3.0]]
    flat = terms([log_weight[0][0], log_weight[0][1], log_weight[1][0], log_weight[1][1]], [[0.0] * 4])
    by_hand = [math.log((math.exp(log_weight[0][b]) + math.exp(log_weight[1][b])) / 2) for b in range(2)]
    loss = Objective([ObjectiveSpec(iwae_k=2)], torch.float64).loss(flat, NOW)
    assert float(loss) == pytest.approx(-sum(by_hand) / 2)


def test_a_pack_mixes_rho_beta_and_floor_but_no_other_setting() -> None:
    batch = terms([-8.0, -12.0], [[-3.0, 1.0], [0.0, 8.0]])
    two = Terms(batch.recon.repeat(2, 1), batch.kl.repeat(1, 2, 1), batch.log_ratio.repeat(1, 2, 1))
    specs = [ObjectiveSpec(rho=0.2, beta_top=0.5), ObjectiveSpec(rho=0.7, free_bits=5.0)]
    assert Objective(specs, torch.float64).loss(two, NOW).tolist() == pytest.approx([10 - 1 + 2, 10 + 5 + 5])
    with pytest.raises(ValueError, match="must share"):
        Objective([ObjectiveSpec(), ObjectiveSpec(ou_samples=2)], torch.float64)


def test_annealing_weight_without_annealing_is_one() -> None:
    assert kl_weight(None, 0) == 1
    weights = [0, 0, 0.25, 0.5, 1, 1]
    assert [kl_weight((2, 4), step) for step in (0, 2, 3, 4, 6, 9)] == weights
    objective = Objective([ObjectiveSpec(kl_anneal=(2, 4))], torch.float32)
    assert [float(objective.kl_weight(torch.tensor(step))) for step in (0, 2, 3, 4, 6, 9)] == weights
