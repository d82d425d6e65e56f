from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Pack
from sweeps.ledger.recorded_packs import recorded_packs
from sweeps.planning.packing import plan_packs

BASE = Cell("mnist", "embedded", "c" * 64, "static", parse_model("mlp2x3"), Member(), TrainSpec())


def cells(rhos: int, seeds: int, datasets: int = 1) -> list[Cell]:
    return [
        replace(BASE, dataset=f"d{d}", member=Member(ObjectiveSpec(rho=r / rhos), seed))
        for seed in range(seeds)
        for d in range(datasets)
        for r in range(rhos)
    ]


@given(st.integers(1, 30), st.integers(1, 3), st.integers(1, 3), st.none() | st.integers(1, 9), st.integers(1, 20))
def test_every_cell_is_in_exactly_one_pack_of_its_kind(
    rhos: int, seeds: int, datasets: int, size: int | None, slots: int
) -> None:
    grid = cells(rhos, seeds, datasets)
    by_id = {cell.id: cell for cell in grid}
    packs = plan_packs(grid, size, slots)
    members = [cell for pack in packs for cell in pack.cells]
    assert sorted(members) == sorted(by_id)
    for pack in packs:
        assert len({(by_id[c].pack_key, by_id[c].member.seed) for c in pack.cells}) == 1
        assert size is None or len(pack.cells) <= size
    assert plan_packs(grid, size, slots) == packs, "a pure function"
    if size is None:
        assert len(packs) >= min(slots, len(grid)), "no core is left idle"


def test_one_data_set_on_two_cores_is_two_packs_of_nearly_one_size() -> None:
    assert [len(pack.cells) for pack in plan_packs(cells(11, 1), slots=2)] == [6, 5]
    assert [len(pack.cells) for pack in plan_packs(cells(11, 1, 2), slots=2)] == [11, 11]
    assert [len(pack.cells) for pack in plan_packs(cells(11, 1), size=4)] == [4, 3, 4]


@given(st.integers(1, 30), st.integers(1, 3), st.integers(1, 20), st.integers(1, 9))
def test_seeds_together_and_no_more_than_there_is_room_for(rhos: int, seeds: int, room: int, slots: int) -> None:
    grid = cells(rhos, seeds, 2)
    packs = plan_packs(grid, None, slots, lambda cell: room if cell.dataset == "d0" else 2 * room, across_seeds=True)
    by_id = {cell.id: cell for cell in grid}
    assert sorted(cell for pack in packs for cell in pack.cells) == sorted(by_id)
    for pack in packs:
        assert len({by_id[cell].pack_key for cell in pack.cells}) == 1
        assert len(pack.cells) <= (room if by_id[pack.cells[0]].dataset == "d0" else 2 * room)
    if room >= rhos * seeds and slots <= 2:
        assert len(packs) == 2


def test_seeds_come_one_after_the_other() -> None:
    packs = plan_packs(cells(5, 3))
    seeds = {cell.id: cell.member.seed for cell in cells(5, 3)}
    assert [seeds[pack.cells[0]] for pack in packs] == [0, 1, 2]


def test_an_interrupted_pack_keeps_its_members() -> None:
    """Two of four done: the recorded pack is taken whole, so that the rest is trained in the same company."""
    grid = cells(4, 1)
    pack = Pack(tuple(cell.id for cell in grid))
    assert recorded_packs({pack.id: pack}, {grid[1].id, grid[3].id}) == [pack]
    assert recorded_packs({pack.id: pack}, set()) == []


def test_no_pending_cell_is_taken_twice() -> None:
    """Packs that overlap, as after a cell was planned twice: the first that holds it trains it."""
    grid = cells(4, 1)
    first, second = Pack(tuple(cell.id for cell in grid[:3])), Pack(tuple(cell.id for cell in grid[2:]))
    known = {pack.id: pack for pack in (first, second)}
    assert recorded_packs(known, {cell.id for cell in grid}) == [first]
    assert recorded_packs(known, {grid[0].id, grid[3].id}) == [first, second]


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_members_is_part_of_a_pack(order: int) -> None:
    ids = [cell.id for cell in cells(3, 1)][::order]
    assert (Pack(tuple(ids)).id == Pack(tuple(cell.id for cell in cells(3, 1))).id) == (order == 1)
