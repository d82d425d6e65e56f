from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.checks import SpecError
from hvae_core.families.base import Family
from hvae_core.families.mlp import MLP
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.systems.build import build


@pytest.mark.parametrize(
    ("text", "latents", "hidden", "name"),
    [
        ("mlp4x40", (40,) * 4, (200,) * 4, "mlp4x40"),
        ("mlp4x40h200", (40,) * 4, (200,) * 4, "mlp4x40"),
        ("mlp3x16h64", (16,) * 3, (64,) * 3, "mlp3x16h64"),
        ("mlp1x2h3", (2,), (3,), "mlp1x2h3"),
        ("mlp64-32-16-8", (64, 32, 16, 8), (512, 256, 128, 64), "mlp64-32-16-8"),
        ("mlp25-25", (25, 25), (200, 200), "mlp2x25"),
    ],
)
def test_grammar(text: str, latents: tuple[int, ...], hidden: tuple[int, ...], name: str) -> None:
    spec = parse_model(text)
    assert spec == MLP(latents, hidden)
    assert (spec.units, spec.name) == (latents, name)
    assert (spec.depth, spec.width) == (len(latents), max(latents))


@given(st.lists(st.integers(1, 300), min_size=2, max_size=6) | st.tuples(st.integers(1, 6), st.integers(1, 300)))
def test_the_canonical_name_reads_back(shape: list[int] | tuple[int, int]) -> None:
    text = f"mlp{shape[0]}x{shape[1]}h7" if isinstance(shape, tuple) else "mlp" + "-".join(map(str, shape))
    spec = parse_model(text)
    assert parse_model(spec.name) == spec


@pytest.mark.parametrize("text", ["mlp1x5h7", "mlp3x4h5", "mlp4-3-2"])
def test_parameters_are_those_of_the_model(text: str) -> None:
    spec = parse_model(text)
    image = ImageSpec((1, 2, 5))
    model = build(spec, image, [0])
    assert spec.parameters(image, 1) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mlp",
        "mlp40",
        "mlp0x40",
        "mlp4x0",
        "mlp4x40h0",
        "mlp-4x40",
        "4x40",
        "mlp4x40 ",
        "mlp64-0",
        "MLP4x40",
        "mlp999999999x999999999",
        "mlp2x99999999",
        "mlp4x40h",
        "mlp4.0x40",
    ],
)
def test_what_is_no_model_is_named_in_one_line(text: str) -> None:
    with pytest.raises(SpecError, match=r"^(model|width): .*must be") as error:
        parse_model(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["mlp1x5h7", "mlp3x4h5", "mlp4-3-2"])
@pytest.mark.parametrize("outputs", [1, 10])
def test_sizes_are_those_that_building_finds(text: str, outputs: int) -> None:
    """The formulas against the rule for every family: build without memory, count what the backward pass keeps."""
    spec, image = parse_model(text), ImageSpec((3, 4, 5), 256)
    assert spec.parameters(image, outputs) == Family.parameters(spec, image, outputs)
    formula, counted = spec.row_floats(image, outputs), Family.row_floats(spec, image, outputs)
    pairs = zip(
        (formula.decoder, *formula.posteriors, *formula.priors),
        (counted.decoder, *counted.posteriors, *counted.priors),
        strict=True,
    )
    for said, found in pairs:
        assert said <= found <= 3 * said + 100
