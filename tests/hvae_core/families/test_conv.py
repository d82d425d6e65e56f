"""The plain convolutional family: grammar, sizes, and packs that are their members."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hvae_core.checks import SpecError
from hvae_core.families import sizes
from hvae_core.families.conv import Conv
from hvae_core.families.network_check import check_networks
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.networks.conv import StackedConv, folded, unfolded
from hvae_core.networks.stacked import glorot_uniform
from hvae_core.systems.build import build

SPEC = parse_model("conv3x2x2x2f3")


@pytest.mark.parametrize(
    ("text", "name", "units"),
    [
        ("conv3x8x7x7", "conv3x8x7x7", (392,) * 3),
        ("conv3x8x7x7f32", "conv3x8x7x7", (392,) * 3),
        ("conv2x4x14x14f16", "conv2x4x14x14f16", (784,) * 2),
    ],
)
def test_its_grammar(text: str, name: str, units: tuple[int, ...]) -> None:
    model = parse_model(text)
    assert (model.name, model.family, model.units) == (name, "conv", units)
    assert parse_model(name) == model


@pytest.mark.parametrize("text", ["conv3x8", "conv0x8x7x7", "conv3x8x7", "conv3x8x7x7f0", "conv3x8x7x7h9", "conv"])
def test_what_is_not_its_grammar_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="model: .*conv<depth>x<channels>x<height>x<width>"):
        parse_model(text)


def test_a_model_too_large_is_refused() -> None:
    with pytest.raises(SpecError, match=r"of at most 10\^9 parameters"):
        parse_model("conv3x8x7x7f100000")


@pytest.mark.parametrize(
    ("maps", "image", "allowed"),
    [
        ("5x5", (28, 28), "28x28, 14x14, 7x7"),
        ("7x14", (28, 28), "7x7"),
        ("14x14", (7, 7), "7x7"),
        ("4x4", (6, 8), "3x4"),
    ],
)
def test_maps_that_the_image_does_not_halve_to_are_refused_by_name(
    maps: str, image: tuple[int, int], allowed: str
) -> None:
    with pytest.raises(SpecError, match=f"'conv2x3x{maps}'.*{image[0]}x{image[1]} do not halve.*{allowed}"):
        parse_model(f"conv2x3x{maps}").parameters(ImageSpec((1, *image)), 1)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_weights_are_those_of_the_networks(
    layers: int, channels: int, filters: int, steps: int, colours: int, outputs: int
) -> None:
    image = ImageSpec((colours, 3 << steps, 5 << steps))
    family = Conv(layers, (channels, 3, 5), filters)
    assert family.parameters(image, outputs) == sizes.parameters(family, image, outputs)


@pytest.mark.parametrize("text", ["conv3x2x2x2f3", "conv1x2x4x4f3", "conv2x3x1x1f2"])
def test_networks_pass_the_check_of_a_users_own(text: str) -> None:
    """Shapes, seeds, and members that never mix, down to the last bit of a gradient."""
    check_networks(parse_model(text), ImageSpec((2, 4, 4)), 3)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_stacked_convolution_is_one_of_each_member(stride: int) -> None:
    layer = StackedConv(3, 2, 4, stride).double()
    glorot_uniform(layer, [1, 2, 3])
    with torch.no_grad():
        layer.bias.copy_(torch.arange(12.0).view(3, 4))
    x = torch.randn(3, 5, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = unfolded(layer(folded(x, 3)), 3)
    for m in range(3):
        expected = F.conv2d(x[m], layer.weight[m], layer.bias[m], stride, 1)
        torch.testing.assert_close(found[m], expected, rtol=0, atol=1e-13)
    bound = (6 / (9 * (2 + 4))) ** 0.5
    assert 0.9 * bound < layer.weight.abs().max() <= bound


def test_the_decoder_starts_at_the_mean_of_all_pixels() -> None:
    mean = torch.tensor([0.1, 0.3]).repeat(8).view(1, 4, 4)
    model = build(SPEC, ImageSpec((1, 4, 4)), [0], torch.float64, mean)
    z = torch.zeros(1, 2, 2, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(model.likelihood.mean(z), torch.full((1, 2, 1, 4, 4), 0.2, dtype=torch.float64))
