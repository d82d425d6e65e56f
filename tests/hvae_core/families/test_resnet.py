"""The residual family: grammar, what it starts as, and packs that are their members."""

from __future__ import annotations

import pytest
import torch

from hvae_core.checks import SpecError
from hvae_core.families.network_check import check_networks
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.networks.resnet import ResNetwork
from hvae_core.networks.stacked import glorot_uniform


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("resnet3x8x14x14", "resnet3x8x14x14"),
        ("resnet3x8x14x14b2f64", "resnet3x8x14x14"),
        ("resnet4x8x16x16b6f100", "resnet4x8x16x16b6f100"),
        ("resnet4x8x16x16f100", "resnet4x8x16x16f100"),
        ("resnet4x8x16x16b6f100skip", "resnet4x8x16x16b6f100skip"),
    ],
)
def test_its_grammar(text: str, name: str) -> None:
    model = parse_model(text)
    assert (model.name, model.family) == (name, "resnet")
    assert parse_model(name) == model


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resnet3x8x14", "model: .*resnet<depth>x<channels>"),
        ("resnet3x8x14x14b0", "blocks: 0 is not allowed"),
        ("resnet3x8x14x14f100000", r"at most 10\^9 parameters"),
        ("resnet1x8x14x14skip", "two layers at least"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_model(text)


def test_maps_that_the_image_does_not_halve_to_are_refused_by_name() -> None:
    with pytest.raises(SpecError, match="'resnet3x8x5x5' has maps of 5x5, to which images of 28x28 do not halve"):
        parse_model("resnet3x8x5x5").parameters(ImageSpec((1, 28, 28)), 1)


@pytest.mark.parametrize(
    "text", ["resnet2x2x2x2b1f3", "resnet1x2x4x4b2f3", "resnet2x3x1x1b1f2", "resnet3x2x2x2b1f3skip"]
)
def test_networks_pass_the_check_of_a_users_own(text: str) -> None:
    check_networks(parse_model(text), ImageSpec((2, 4, 4)), 3)


def test_a_deep_network_starts_as_one_without_blocks() -> None:
    deep, flat = (ResNetwork(2, 1, 4, 3, blocks).double() for blocks in (5, 0))
    glorot_uniform(deep, [1, 2])
    flat.load_state_dict({name: value for name, value in deep.state_dict().items() if "blocks" not in name})
    x = torch.randn(2, 3, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(deep(x), flat(x), rtol=0, atol=0)
    assert deep(x).abs().max() < 1
