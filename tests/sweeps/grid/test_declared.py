from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from hvae_core.checks import SpecError
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from sweeps.grid.cell import COLUMNS, Cell
from sweeps.grid.declared import BY_NAME, SETTINGS, Setting, names

CELL = Cell("mnist", "embedded", "c" * 64, "static", parse_model("mlp2x3"), Member(), TrainSpec())


def test_the_table_declares_every_field_of_objective_and_training_and_no_other() -> None:
    assert names("objective") == tuple(field.name for field in fields(ObjectiveSpec))
    assert names("train") == tuple(field.name for field in fields(TrainSpec))
    for spec, part in ((ObjectiveSpec(), "objective"), (TrainSpec(), "train")):
        for setting in SETTINGS:
            if setting.part == part:
                assert getattr(spec, setting.name) == setting.default, setting.name


def test_what_varies_in_a_pack_is_what_the_core_lets_vary() -> None:
    """The objective's own rule, `ObjectiveSpec.kind`, and the table's must be one."""
    changes: dict[str, Any] = {"rho": 0.5, "beta_top": 0.5, "free_bits": 1.0, "ou_samples": 2, "smoothing": "ratio"}
    for name, value in changes.items():
        other = ObjectiveSpec(**{name: value})
        assert (other.kind == ObjectiveSpec().kind) == BY_NAME[name].varies_in_pack, name


def test_a_cell_has_every_setting_and_its_row_every_column() -> None:
    assert {setting.name: CELL[setting.name] for setting in SETTINGS}["steps"] == CELL.train.steps
    assert tuple(CELL.row) == COLUMNS


def test_a_later_setting_enters_the_configuration_only_where_it_is_not_its_default() -> None:
    later = Setting("later", "train", "whole", 3, always_hashed=False)
    assert not later.is_hashed(3)
    assert later.is_hashed(4)
    assert later.from_config({}) == 3
    assert later.from_config({"later": 4}) == 4
    assert BY_NAME["steps"].is_hashed(100_000), "a key that was there from the first is always hashed"
    with pytest.raises(KeyError):
        BY_NAME["steps"].from_config({})


def test_text_must_be_text() -> None:
    with pytest.raises(SpecError, match="dataset: 3 is not allowed; it must be text"):
        BY_NAME["dataset"].from_config({"dataset": 3})
