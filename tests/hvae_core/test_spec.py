from __future__ import annotations

from typing import Any

import pytest

from hvae_core.checks import SpecError, number
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec


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
