from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.checks import SpecError
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from sweeps.grid.cell import ID, Cell

BASE = Cell("mnist", "embedded", "c" * 64, "static", parse_model("mlp2x3"), Member(), TrainSpec())

OBJECTIVES = st.builds(
    ObjectiveSpec,
    rho=st.floats(0, 1),
    ou_samples=st.integers(1, 100),
    smoothing=st.sampled_from(["mean_std", "ratio"]),
    beta_top=st.floats(0, 10),
    kl_anneal=st.none() | st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)),
    free_bits=st.none() | st.floats(1e-6, 10),
)
CELLS = st.builds(
    Cell,
    st.text(min_size=1, max_size=8),
    st.sampled_from(["embedded", "grey", "npz"]),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.sampled_from(["static", "dynamic"]),
    st.sampled_from([parse_model(text) for text in ("mlp4x40", "mlp64-32-16-8", "mlp1x2h3")]),
    st.builds(Member, OBJECTIVES, st.integers(0, 2**63 - 1)),
    st.builds(TrainSpec, st.integers(1, 10**9), st.integers(1, 1000), st.floats(1e-6, 1)),
)


@given(CELLS)
def test_a_cell_survives_its_config_json(cell: Cell) -> None:
    again = Cell.from_config(json.loads(json.dumps(cell.config)))
    assert again == cell
    assert again.id == cell.id
    assert ID.fullmatch(cell.id)


@given(CELLS, CELLS)
def test_ids_differ_exactly_when_cells_do(one: Cell, two: Cell) -> None:
    assert (one.id == two.id) == (one == two)


def vary(**changes: Any) -> Cell:
    return replace(BASE, **changes)


def objective(**changes: Any) -> Cell:
    return vary(member=replace(BASE.member, objective=replace(BASE.member.objective, **changes)))


def training(**changes: Any) -> Cell:
    return vary(train=replace(BASE.train, **changes))


@pytest.mark.parametrize(
    "changed",
    [
        vary(dataset="omniglot"),
        vary(source="grey"),
        vary(checksum="d" * 64),
        vary(binarise="dynamic"),
        vary(model=parse_model("mlp2x3h5")),
        vary(member=Member(seed=1)),
        objective(rho=0.5),
        objective(ou_samples=6),
        objective(smoothing="ratio"),
        objective(beta_top=0.5),
        objective(kl_anneal=(0, 10)),
        objective(free_bits=1.0),
        objective(iwae_k=2),
        training(steps=5),
        training(batch_size=5),
        training(lr=0.5),
        training(precision="float64"),
    ],
)
def test_everything_that_changes_numbers_changes_the_id(changed: Cell) -> None:
    assert changed.id != BASE.id
    assert set(changed.config) == set(BASE.config)


def test_rho_at_depth_one_is_a_cell_of_its_own_and_sums_of_floats_are_not() -> None:
    assert objective(rho=0.1 + 0.2).id == objective(rho=0.3).id
    assert objective(rho=1).id == objective(rho=1.0).id


def test_the_id_does_not_change_between_versions_by_accident() -> None:
    """Ids are names of files in people's results: changing this value orphans them, and needs a new SCHEMA."""
    assert BASE.id == "10ab3b9a8a75e372"


@pytest.mark.parametrize("change", [{"schema": 99}, {"rho": 2}, {"rho": None}, {"model": "mlp"}, {"dataset": 3}])
def test_a_config_that_is_not_valid_is_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as error:
        Cell.from_config({**BASE.config, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", sorted(BASE.config))
def test_a_config_with_a_hole_is_refused(key: str) -> None:
    with pytest.raises(SpecError):
        Cell.from_config({k: v for k, v in BASE.config.items() if k != key})


def test_pack_key_lets_only_rho_beta_floor_and_seed_differ() -> None:
    same = [objective(rho=0.1), objective(beta_top=0.2), objective(free_bits=1.0), vary(member=Member(seed=4))]
    assert {cell.pack_key for cell in same} == {BASE.pack_key}
    for other in (objective(ou_samples=6), objective(smoothing="ratio"), training(steps=5), vary(binarise="dynamic")):
        assert other.pack_key != BASE.pack_key
