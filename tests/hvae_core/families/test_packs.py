"""Packs of all families and systems are their members: alone, resumed, and beside one that diverges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hvae_core.data import Dataset
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.trainer import PackTrainer

MODELS = ("conv3x2x2x2f3", "resnet2x2x2x2b1f3", "resnet3x2x2x2b1f3skip", "colour:conv2x2x2x2f3")
SYSTEMS = {"lvae:mlp3x3h5": "lvae", "lvae+skip:conv2x2x2x2f3": "lvae+skip", "biva:mlp3x3h5": "biva"}
SYSTEMS |= {"biva:resnet2x2x2x2b1f3": "biva", "vampprior:mlp2x3h5": "vampprior", "vampprior:conv1x2x2x2f3": "vampprior"}


def coloured(bars: Dataset) -> Dataset:
    """Bars in three colours of many levels."""
    weights = np.array([250, 120, 7], dtype=np.uint8).reshape(3, 1, 1)
    images = {key: getattr(bars, key) * weights + 2 for key in ("train", "valid", "test")}
    return Dataset.of(name="bars", source="npz", reference="", shape=(3, 4, 4), images=images, binarise="none")


def trainer(bars: Dataset, model: str, members: list[Member], precision: str = "float64") -> PackTrainer:
    kind, _, name = model.rpartition(":")
    colour = kind == "colour"
    train = TrainSpec(batch_size=6, precision=precision, mixture=2 if colour else 1)  # type: ignore[arg-type]
    data = coloured(bars) if colour else bars
    if model in SYSTEMS:
        settings: Any = {"system": SYSTEMS[model], **({"pseudo_inputs": 4} if kind == "vampprior" else {})}
        members = [replace(member, objective=replace(member.objective, **settings)) for member in members]
    return PackTrainer(parse_model(name), members, train, data, torch.device("cpu"))


@pytest.mark.parametrize("model", [*MODELS, *SYSTEMS])
def test_a_pack_is_its_members_alone(bars: Dataset, model: str) -> None:
    members = [Member(ObjectiveSpec(rho, 3), seed) for rho, seed in ((0.5, 1), (0.9, 2), (1.0, 1))]
    pack, alone = trainer(bars, model, members), [trainer(bars, model, [member]) for member in members]
    for _ in range(20):
        losses = pack.advance()
        singles = torch.cat([one.advance() for one in alone])
    # A pack smooths all members or none, and a lone member at rho = 1 is not: both mean the same.
    torch.testing.assert_close(losses, singles, rtol=0, atol=1e-10)
    for name, value in pack.model.state_dict().items():
        together = torch.cat([one.model.state_dict()[name] for one in alone])
        torch.testing.assert_close(value, together, rtol=0, atol=1e-10)


@pytest.mark.parametrize("model", [*MODELS, *SYSTEMS])
def test_a_resumed_pack_is_an_undisturbed_one_bit_for_bit(bars: Dataset, model: str) -> None:
    members = [Member(ObjectiveSpec(rho, 3), 1) for rho in (0.5, 0.9)]
    whole, begun, rest = (trainer(bars, model, members, "float32") for _ in range(3))
    for _ in range(10):
        whole.advance()
    for _ in range(4):
        begun.advance()
    rest.restore(begun.state())
    for _ in range(6):
        rest.advance()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name


@pytest.mark.parametrize("model", [*MODELS, *SYSTEMS])
def test_a_member_that_diverges_leaves_the_others_alone(bars: Dataset, model: str) -> None:
    members = [Member(ObjectiveSpec(rho, 3), 1) for rho in (0.5, 0.9)]
    usual, spoilt = trainer(bars, model, members), trainer(bars, model, members)
    with torch.no_grad():
        for parameter in spoilt.model.parameters():
            parameter[0] = torch.nan
    for _ in range(5):
        expected, found = usual.advance(), spoilt.advance()
    assert found[0].isnan()
    assert found[1] == expected[1]
    assert spoilt.diverged.tolist() == [1, 0]
