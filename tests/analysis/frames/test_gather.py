"""Results directories become one frame, and nothing is left out of it without a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.frames.gather import MAX_NOTES, GatherError, columns, gather
from analysis.frames.results_table import write_tables
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.ledger import Ledger

Make = Callable[..., list[Cell]]


def test_columns_are_those_of_the_design(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, models=("mlp1x4h8", "mlp3x4h8"), rhos=(0.5,))
    frame = gather([tmp_path]).frame
    assert list(frame) == list(columns(3))
    assert list(columns(2)) == [
        *("cell_id", "state", "dataset", "source", "checksum", "binarise", "model", "family", "depth", "width"),
        *("model_code", "latents"),  # of a user's own family; left out of what is written where there is none
        *("rho", "ou_samples", "smoothing", "method", "beta_top", "kl_anneal", "kl_weight", "free_bits", "iwae_k"),
        *("system", "pseudo_inputs"),
        *(
            "seed",
            "steps",
            "batch_size",
            "lr",
            "precision",
            "mixture",
            "elbo",
            "recon",
            "kl_total",
            "kl_top",
            "kl_1",
            "kl_2",
        ),
        *("au_top", "au_1", "au_2", "au_path_1", "au_path_2", "share_top", "share_1", "share_2", "at_floor"),
        *("ll_100", "ll_100_se", "ll_100_ess", "ll_examples", "baseline", "bits_per_dim"),
        *("parameters", "seconds", "pack_size", "device"),
    ]
    assert frame["kl_3"].isna().tolist() == [True, False]
    assert frame["au_3"].isna().tolist() == [True, False]


def test_declared_columns_are_those_of_the_cell(make_results: Make, tmp_path: Path) -> None:
    (cell,) = make_results(tmp_path, rhos=(0.5,), objective={"kl_anneal": (10, 20), "free_bits": 0.5})
    row = gather([tmp_path]).frame.iloc[0]
    assert list(cell.row) == list(columns(0)[2 : 2 + len(cell.row)])
    assert {name: None if pd.isna(row[name]) else row[name] for name in cell.row} == cell.row
    assert row["cell_id"] == cell.id


def test_types_do_not_depend_on_what_is_missing(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "full", rhos=(0.5,), seeds=(2**63 - 1,))
    make_results(tmp_path / "bare", rhos=(0.5,), seeds=(2**63 - 1,), state=lambda cell: "pending")
    full, bare = (gather([tmp_path / name]).frame for name in ("full", "bare"))
    assert full.dtypes.astype(str).to_dict() == bare.dtypes.astype(str).to_dict()
    assert str(full["au_top"].dtype) == str(full["seed"].dtype) == "Int64"
    assert full["seed"][0] == 2**63 - 1


def test_only_complete_cells_have_metrics(make_results: Make, tmp_path: Path) -> None:
    states = {0.0: "complete", 0.5: "failed", 0.8: "diverged", 1.0: "pending"}
    make_results(tmp_path, rhos=tuple(states), state=lambda cell: states[cell.member.objective.rho])
    frame = gather([tmp_path]).frame
    assert frame["state"].tolist() == list(states.values())
    metrics = frame.loc[frame["state"] != "complete", list(frame)[list(frame).index("elbo") :]]
    assert metrics.isna().all(axis=None)


def test_order_is_by_curve_then_seed_then_rho(make_results: Make, tmp_path: Path) -> None:
    for steps in (20, 10):
        datasets = ("omniglot:lake", "mnist:embedded")
        make_results(tmp_path / f"{steps}", datasets=datasets, seeds=(1, 0), rhos=(1, 0.5), train=TrainSpec(steps))
    frame = gather([tmp_path]).frame
    keys = list(frame[["dataset", "steps", "seed", "rho"]].itertuples(index=False, name=None))
    assert keys == sorted(keys)
    assert len(keys) == 16


def test_absent_and_null_bounds_are_missing(make_results: Make, tmp_path: Path) -> None:
    def change(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        del result["ll_100"]
        return {**result, "ll_100_se": None, "ll_examples": 0}

    make_results(tmp_path, rhos=(0.5,), change=change)
    gathered = gather([tmp_path])
    assert gathered.frame[["ll_100", "ll_100_se"]].isna().all(axis=None)
    assert gathered.frame["ll_examples"][0] == 0
    assert gathered.notes == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("ll_100", "much"), ("seconds", True), ("au_1", 2.5), ("pack_size", -1), ("device", 7)],
        *[("ll_examples", 1e300), ("ll_100", 1e300), ("au_top", 5), ("share_1", -1e9), ("baseline", -1e200)],
    ],
)
def test_a_number_that_cannot_be_is_left_out_and_named(
    make_results: Make, tmp_path: Path, name: str, value: object
) -> None:
    (cell,) = make_results(tmp_path, rhos=(0.5,), change=lambda cell, result: {**result, name: value})
    gathered = gather([tmp_path])
    assert pd.isna(gathered.frame[name][0])
    (note,) = gathered.notes
    assert cell.id in note
    assert f"{name} is {value!r}" in note


def test_damaged_result_leaves_the_cell_pending_and_is_named(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    path = Ledger(tmp_path).cell_path(cells[3].id) / "result.json"
    path.write_text('{"schema": 1, "elbo": NaN')
    gathered = gather([tmp_path])
    assert gathered.frame.set_index("cell_id")["state"][cells[3].id] == "pending"
    assert (gathered.frame["state"] == "complete").sum() == len(cells) - 1
    (note,) = gathered.notes
    assert str(path) in note
    assert gather([tmp_path, tmp_path]).notes == [note]


def test_damaged_configuration_leaves_the_cell_out_and_is_named(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    (Ledger(tmp_path).cell_path(cells[0].id) / "config.json").write_bytes(b"\x00")
    gathered = gather([tmp_path])
    assert cells[0].id not in set(gathered.frame["cell_id"])
    assert len(gathered.notes) == 1
    assert "\n" not in gathered.notes[0]


def test_many_damaged_files_make_few_lines(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    for cell in cells[:-1]:
        (Ledger(tmp_path).cell_path(cell.id) / "result.json").write_text("")
    notes = gather([tmp_path]).notes
    assert len(notes) == MAX_NOTES + 1
    assert f"{len(cells) - 1 - MAX_NOTES} more" in notes[-1]


def test_same_cell_with_different_numbers_keeps_the_first(make_results: Make, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    cells = make_results(first, top_kl=lambda cell: 3.0)
    make_results(second, top_kl=lambda cell: 5.0)
    gathered = gather([first, second])
    assert len(gathered.frame) == len(cells)
    assert (gathered.frame["kl_top"] == 3.0).all()
    (note,) = gathered.notes
    assert note.startswith(f"{second}: {len(cells)} of its cells are in {first} with different numbers")
    assert (gather([second, first]).frame["kl_top"] == 5.0).all()


def test_same_numbers_elsewhere_or_on_another_device_are_no_clash(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path / "a")
    make_results(tmp_path / "b", change=lambda cell, result: {**result, "device": "other", "seconds": 9.0})
    gathered = gather([tmp_path / "a", tmp_path / "b", tmp_path / "a"])
    assert len(gathered.frame) == len(cells)
    assert gathered.notes == []


def test_a_bound_that_only_one_of_them_took_is_no_clash(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a")
    make_results(tmp_path / "b", change=lambda cell, result: {**result, "ll_100": None, "ll_100_se": None})
    assert gather([tmp_path / "a", tmp_path / "b"]).notes == []
    assert gather([tmp_path / "b", tmp_path / "a"]).notes == []


def test_what_either_directory_has_evaluated_is_in_the_row(make_results: Make, tmp_path: Path) -> None:
    """A copy that was evaluated further, beside what it is a copy of: in either order."""
    a, b = tmp_path / "a", tmp_path / "b"
    make_results(a)
    found = {"schema": SCHEMA, "samples": 200, "ll": -90.0, "ll_se": 0.5, "ll_ess": 9.0, "examples": 20, "asked": 20}
    for cell in make_results(b):
        write_json(Ledger(b).cell_path(cell.id) / "eval-200.json", {**found, "cell_id": cell.id})
    for order in ([a, b], [b, a]):
        gathered = gather(order)
        assert (gathered.frame["ll_200"] == -90.0).all()
        assert (gathered.frame["ll_200_examples"] == 20).all()
        assert gathered.notes == []
        assert set(gathered.directories.values()) == {order[0]}
    make_results(tmp_path / "other", top_kl=lambda cell: 7.0)
    frame = gather([tmp_path / "other", b]).frame
    assert "ll_200" not in frame, "of other numbers"


def test_a_complete_cell_wins_over_a_failed_one(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a", state=lambda cell: "failed")
    make_results(tmp_path / "b")
    gathered = gather([tmp_path / "a", tmp_path / "b"])
    assert (gathered.frame["state"] == "complete").all()
    assert gathered.notes == []


def test_a_parent_stands_for_the_results_directories_below_it(make_results: Make, tmp_path: Path) -> None:
    quick, lake = tmp_path / "results" / "quick", tmp_path / "results" / "lake"
    cells = [*make_results(quick), *make_results(lake, datasets=("omniglot:lake",))]
    (tmp_path / "results" / "figures").mkdir()
    (tmp_path / "results" / "notes.txt").write_text("mine")
    assert set(gather([tmp_path / "results"]).frame["cell_id"]) == {cell.id for cell in cells}
    assert len(gather([tmp_path / "results", quick]).frame) == len(cells)


def test_cells_of_its_own_hide_what_lies_below(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    make_results(tmp_path / "old", datasets=("omniglot:lake",))
    assert len(gather([tmp_path]).frame) == len(cells)


def test_no_results_is_one_line(make_results: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "planned" / "cells").mkdir(parents=True)
    (damaged,) = make_results(tmp_path / "damaged", rhos=(0.5,))
    (Ledger(tmp_path / "damaged").cell_path(damaged.id) / "config.json").write_text("")
    for name, words in {
        "missing": "no such directory",
        "file": "is a file",
        "file/below": "no such directory",
        "empty": "holds no results: neither cells/ nor sweep.json",
        "planned": "holds no results: no cell",
        "damaged": "holds no results: every cell is damaged",
    }.items():
        with pytest.raises(GatherError) as caught:
            gather([tmp_path / name])
        assert str(caught.value).startswith(f"{tmp_path / name}: {words}")
        assert "\n" not in str(caught.value)
    with pytest.raises(GatherError, match="no results directory"):
        gather([])


def test_one_bad_directory_among_good_ones_is_an_error(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GatherError, match="empty"):
        gather([tmp_path / "good", tmp_path / "empty"])


def test_tables_round_trip_exactly(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, state=lambda cell: "complete" if cell.member.objective.rho < 0.9 else "pending")
    frame = gather([tmp_path]).frame
    frame.loc[0, "elbo"] = -math.pi * 1e17 / 3
    paths = write_tables(tmp_path, frame)
    assert [path.name for path in paths] == ["results.csv", "results.parquet"]
    read = pd.read_csv(paths[0], dtype=frame.dtypes.to_dict())
    # Of a user's own family, of other systems and of pixels of 256 levels: none here.
    written = frame.drop(columns=["model_code", "latents", "system", "pseudo_inputs", "mixture", "bits_per_dim"])
    pd.testing.assert_frame_equal(read, written, check_exact=True)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), written, check_exact=True)
    assert np.array_equal(read["elbo"].to_numpy(), frame["elbo"].to_numpy(), equal_nan=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cells", "results.csv", "results.parquet", "sweep.json"]


def test_a_kl_at_its_free_bits_floor_is_counted(make_results: Make, tmp_path: Path) -> None:
    """Layers of the synthetic cells have KL 6, 7, 8 and the top's own; what lies below the floor is held as well."""
    make_results(tmp_path, models=("mlp4x4h8",), rhos=(0.5,), objective={"free_bits": 7.2})
    make_results(tmp_path, models=("mlp4x4h8",), rhos=(0.9,), objective={"free_bits": 6.5})
    make_results(tmp_path, models=("mlp4x4h8",), rhos=(1.0,))
    frame = gather([tmp_path]).frame
    assert dict(zip(frame["rho"], frame["at_floor"], strict=True)) == {0.5: 2, 0.9: 1, 1.0: 0}


def test_an_unfinished_ramp_is_a_column(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.5,), objective={"kl_anneal": (1000, 8000)}, train=TrainSpec(3000))
    assert list(gather([tmp_path]).frame["kl_weight"]) == [0.25]


def test_a_long_gather_says_how_far_it_is(make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_results(tmp_path, rhos=(0.5, 0.9, 1.0))
    said: list[str] = []
    gather([tmp_path], note=said.append)
    assert said == []
    monkeypatch.setattr("analysis.frames.gather.NOTE_SECONDS", -1.0)
    gather([tmp_path], note=said.append)
    assert said == [f"{tmp_path}: {count} cells read" for count in (1, 2, 3)]
