from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.checks import SpecError, number
from hvae_core.families.mlp import ModelSpec
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.systems.hvae import HVAE


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
    spec = ModelSpec.parse(text)
    assert (spec.latents, spec.hidden, spec.name) == (latents, hidden, name)
    assert (spec.depth, spec.width) == (len(latents), max(latents))


@given(st.lists(st.integers(1, 300), min_size=2, max_size=6) | st.tuples(st.integers(1, 6), st.integers(1, 300)))
def test_the_canonical_name_reads_back(shape: list[int] | tuple[int, int]) -> None:
    text = f"mlp{shape[0]}x{shape[1]}h7" if isinstance(shape, tuple) else "mlp" + "-".join(map(str, shape))
    spec = ModelSpec.parse(text)
    assert ModelSpec.parse(spec.name) == spec


@pytest.mark.parametrize("text", ["mlp1x5h7", "mlp3x4h5", "mlp4-3-2"])
def test_parameters_are_those_of_the_model(text: str) -> None:
    spec = ModelSpec.parse(text)
    model = HVAE.build(spec, torch.full((10,), 0.5), [0])
    assert spec.parameters(10) == sum(p.numel() for p in model.parameters())


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
        "conv4x8x7x7",
        "resnet4x8x7x7b2skip",
        "mlp4x40h",
        "mlp4.0x40",
    ],
)
def test_what_is_no_model_is_named_in_one_line(text: str) -> None:
    with pytest.raises(SpecError, match=r"^(model|width): .*must be") as error:
        ModelSpec.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ObjectiveSpec, {"rho": -0.1}),
        (ObjectiveSpec, {"rho": 1.0000001}),
        (ObjectiveSpec, {"rho": float("nan")}),
        (ObjectiveSpec, {"ou_samples": 0}),
        (ObjectiveSpec, {"smoothing": "mean"}),
        (ObjectiveSpec, {"beta_top": -1}),
        (ObjectiveSpec, {"kl_anneal": (0, 0)}),
        (ObjectiveSpec, {"free_bits": 0.0}),
        (ObjectiveSpec, {"iwae_k": 0}),
        (ObjectiveSpec, {"iwae_k": 5, "free_bits": 1.0}),
        (TrainSpec, {"steps": 0}),
        (TrainSpec, {"batch_size": 0}),
        (TrainSpec, {"lr": 0.0}),
        (TrainSpec, {"lr": float("inf")}),
        (TrainSpec, {"precision": "float16"}),
        (Member, {"seed": -1}),
        (Member, {"seed": 2**63}),
        (ObjectiveSpec, {"rho": 10**400}),
        (ObjectiveSpec, {"beta_top": 10**400}),
        (ObjectiveSpec, {"free_bits": 10**400}),
        (ObjectiveSpec, {"ou_samples": 2.5}),
        (ObjectiveSpec, {"iwae_k": True}),
        (ObjectiveSpec, {"kl_anneal": (0, 1.5)}),
        (ObjectiveSpec, {"kl_anneal": (0, 10**10)}),
        (TrainSpec, {"lr": 10**400}),
        (TrainSpec, {"steps": 100.5}),
        (TrainSpec, {"batch_size": 8.0}),
        (Member, {"seed": 0.5}),
    ],
)
def test_settings_out_of_range_name_setting_value_and_choices(kind: type, settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as error:
        kind(**settings)
    name, value = next(iter(settings.items()))
    assert name.replace("_", "-") in str(error.value)
    assert repr(value) in str(error.value)
    assert "must be" in str(error.value)


def test_numbers_are_rounded_to_twelve_digits() -> None:
    assert number(0.1 + 0.2) == 0.3
    assert ObjectiveSpec(rho=0.1 + 0.2) == ObjectiveSpec(rho=0.3)
    assert number(0.123456789012345) == 0.123456789012


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({}, "vae"),
        ({"rho": 0.9}, "hvae"),
        ({"rho": 0.9, "smoothing": "ratio"}, "hvae-ratio"),
        ({"kl_anneal": (0, 5)}, "kl-anneal"),
        ({"free_bits": 1}, "free-bits"),
        ({"iwae_k": 5}, "iwae"),
        ({"rho": 0.8, "kl_anneal": (0, 5)}, "hvae+kl-anneal"),
    ],
)
def test_methods_have_their_columns_names(settings: dict[str, Any], method: str) -> None:
    assert ObjectiveSpec(**settings).method == method
