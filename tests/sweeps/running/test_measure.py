from __future__ import annotations

import json

import pytest
import torch

from hvae_core.data import Dataset
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.image import ImageSpec
from hvae_core.training.trainer import TrainedPack, train_pack
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.running.measure import bounds, measure, member_weights


@pytest.fixture
def cells(spec: SweepSpec) -> list[Cell]:
    return [cell for cell in spec.cells() if cell.member.seed == 0]


@pytest.fixture
def trained(cells: list[Cell], bars: Dataset) -> TrainedPack:
    return train_pack(cells[0].model, [cell.member for cell in cells], cells[0].train, bars)


def test_results_are_the_cores_metrics_on_the_whole_test_set(
    trained: TrainedPack, cells: list[Cell], bars: Dataset
) -> None:
    metrics = evaluate(trained.model, torch.from_numpy(bars.test), [0, 0], "test")
    found = measure(trained, cells, bars, "cpu")
    for member, result in enumerate(found):
        assert result["test_examples"] == len(bars.test)
        assert result["pack_size"] == len(cells)
        assert result["seconds"] == trained.seconds / len(cells)
        assert result["device"] == "cpu"
        assert {name: result[name] for name in metrics.row(member)} == metrics.row(member)


def test_the_bound_is_on_the_images_asked_for_and_says_how_many(
    trained: TrainedPack, cells: list[Cell], bars: Dataset
) -> None:
    exact = importance_bound(trained.model, torch.from_numpy(bars.test), 100, [0, 0])
    whole = bounds(trained, cells, bars, 10**6, "cpu")
    assert [row["ll_100"] for row in whole] == exact.value.tolist()
    assert {row["ll_examples"] for row in whole} == {len(bars.test)}
    assert bounds(trained, cells, bars, 1, "cpu")[0]["ll_100_se"] is None
    assert bounds(trained, cells, bars, 0, "cpu") == [{"ll_examples": 0}] * 2


def test_weights_are_the_same_bytes_each_time_and_name_their_images(trained: TrainedPack) -> None:
    content = member_weights(trained.model, 1)
    assert all(member_weights(trained.model, 1) == content for _ in range(20))
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert ImageSpec.read(header["__metadata__"]["image"]) == ImageSpec((1, 4, 4))
    assert member_weights(trained.model, 0) != content
