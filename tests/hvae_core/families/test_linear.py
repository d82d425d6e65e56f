"""The linear family: trained by the package's own trainer it reaches its closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.critical.linear import top_kl
from hvae_core.checks import SpecError
from hvae_core.data import load_dataset
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.linear import Linear
from hvae_core.families.network_check import check_networks
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.trainer import train_pack
from sweeps.options.calibration import CHECKSUM, coins


def test_it_reaches_the_exact_top_kl(tmp_path: Path) -> None:
    data, family = load_dataset(str(coins(tmp_path))), Linear((0.8, 0.5))
    rhos, K = (0.0, 0.4, 0.7, 0.95), 5
    members = [Member(ObjectiveSpec(rho=rho, ou_samples=K), 0) for rho in rhos]
    trained = train_pack(family, members, TrainSpec(1500, 256, 1e-2, "float64"), data)
    metrics = evaluate(trained.model, torch.from_numpy(data.test), [0] * 4, "test")
    assert metrics.kl[:, -1] == pytest.approx(top_kl(np.array(rhos), family.ratios, K), abs=0.012)
    assert metrics.recon == pytest.approx(-8 * np.log(2))


def test_coins_are_fair_and_uncorrelated(tmp_path: Path) -> None:
    path = coins(tmp_path)
    content = path.read_bytes()
    data = load_dataset(str(path))
    assert data.checksum == CHECKSUM
    for images in (data.train, data.valid, data.test):
        signs = 2.0 * images.reshape(len(images), -1) - 1
        assert (signs.T @ signs / len(signs) == np.eye(8)).all()
        assert (signs.mean(0) == 0).all()
    path.unlink()
    assert coins(tmp_path).read_bytes() == content


def test_its_networks_pass_the_check_of_a_users_own() -> None:
    family = Linear((0.6, 0.3))
    assert family.parameters(ImageSpec((1, 1, 8)), 1) == 2 * (2 * 2 + 2) + 2
    with pytest.raises(SpecError, match="needs images of 2 pixels"):
        check_networks(family, ImageSpec((1, 1, 1)), 1)


@pytest.mark.parametrize(("text", "name"), [("linear0.60", "linear0.6"), ("linear.8-0.5", "linear0.8-0.5")])
def test_its_grammar(text: str, name: str) -> None:
    model = parse_model(text)
    assert model.name == name
    assert (model.family, model.decodes) == ("linear", False)
    assert parse_model(name) == model


@pytest.mark.parametrize("text", ["linear", "linear2", "linear1.0", "linear0", "linear0.5x", "linear0.5--0.2"])
def test_what_it_refuses(text: str) -> None:
    with pytest.raises(SpecError, match="model: "):
        parse_model(text)
