"""What makes a configuration, and what it is called beside others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.configurations import Configuration, configurations
from analysis.frames.gather import gather
from analysis.words.methods import shared_in_words, words_of
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell

MakeFrame = Callable[..., pd.DataFrame]
Make = Callable[..., list[Cell]]


def gathered(make: Make, root: Path, *requests: dict[str, Any]) -> list[Configuration]:
    for request in requests:
        make(root, **{"rhos": (1.0,), "state": lambda cell: "pending", **request})
    return configurations(gather([root]).frame)


def test_only_the_seed_varies_inside_one(make_frame: MakeFrame) -> None:
    found = configurations(make_frame(rhos=(0.8, 0.9, 1.0), seeds=(0, 1, 2), models=("mlp2x4h8", "mlp3x4h8")))
    assert [(each["model"], each.rho) for each in found] == [
        (model, rho) for model in ("mlp2x4h8", "mlp3x4h8") for rho in (1.0, 0.9, 0.8)
    ]
    assert all(each.rows["seed"].tolist() == [0, 1, 2] for each in found)
    assert len({each.key for each in found}) == 6
    assert len({each.variant for each in found}) == 3
    assert len({each.group for each in found}) == 2


def test_methods_are_named_as_in_the_paper_and_unsmoothed_ones_come_first(make_results: Make, tmp_path: Path) -> None:
    found = gathered(
        make_results,
        tmp_path,
        {"rhos": (0.8, 1.0)},
        {"rhos": (0.8, 1.0), "objective": {"kl_anneal": (10, 20)}},
        {"objective": {"free_bits": 0.5}},
        {"objective": {"iwae_k": 5}},
        {"objective": {"smoothing": "ratio"}, "rhos": (0.8,)},
        {"objective": {"beta_top": 0.5}},
    )
    assert [", ".join(words) for words in words_of(found)] == [
        "VAE, β_top = 0.5",
        "VAE",
        "IWAE k = 5",
        "VAE, free bits 0.5 nats",
        "VAE, KL annealing (steps 10–30)",
        "HVAE, ρ = 0.8",
        "HVAE, ρ = 0.8, KL annealing (steps 10–30)",
        "HVAE (ratio), ρ = 0.8",
    ]
    assert shared_in_words(found) == ["K = 5", "3,000 steps", "batch 100", "lr 0.001"]


def test_what_all_share_is_said_once(make_results: Make, tmp_path: Path) -> None:
    objective = {"free_bits": 2.0}
    found = gathered(
        make_results,
        tmp_path,
        {"rhos": (0.8, 1.0), "objective": objective},
        {"rhos": (0.8,), "objective": objective, "train": TrainSpec(3000, lr=0.002)},
    )
    assert shared_in_words(found) == ["K = 5", "free bits 2 nats", "3,000 steps", "batch 100"]
    assert shared_in_words(found, ("steps", "ou_samples")) == ["free bits 2 nats", "batch 100"]
    assert words_of(found) == [
        ["VAE", "lr 0.001"],
        ["HVAE", "ρ = 0.8", "lr 0.001"],
        ["HVAE", "ρ = 0.8", "lr 0.002"],
    ]
    assert words_of(found, rho=False)[1] == ["HVAE", "lr 0.001"]


def test_smoothing_that_is_not_there_is_not_said(make_results: Make, tmp_path: Path) -> None:
    assert "K = 5" not in shared_in_words(gathered(make_results, tmp_path, {}))


def test_unsmoothed_twins_are_told_apart_by_what_smoothing_there_would_be(make_results: Make, tmp_path: Path) -> None:
    found = gathered(
        make_results,
        tmp_path,
        {"rhos": (0.8, 1.0)},
        {"rhos": (0.8, 1.0), "objective": {"ou_samples": 10}},
        {"objective": {"smoothing": "ratio"}},
    )
    words = [", ".join(each) for each in words_of(found)]
    assert words == [
        "VAE, K = 5, smoothing mean_std",
        "VAE, K = 5, smoothing ratio",
        "VAE, K = 10, smoothing mean_std",
        "HVAE, ρ = 0.8, K = 5",
        "HVAE, ρ = 0.8, K = 10",
    ]


def test_names_never_collide(make_results: Make, tmp_path: Path) -> None:
    requests: list[dict[str, Any]] = [
        {"rhos": (0.8, 0.8001, 1.0), "objective": objective, "train": train}
        for train in (TrainSpec(3000), TrainSpec(4000, batch_size=64), TrainSpec(3000, precision="float64"))
        for objective in (
            *({}, {"ou_samples": 1}, {"smoothing": "ratio"}, {"beta_top": 0.0}, {"kl_anneal": (0, 5)}),
            *({"free_bits": 1.0}, {"iwae_k": 2}, {"kl_anneal": (0, 5), "free_bits": 1.0, "beta_top": 2.0}),
        )
    ]
    found = gathered(make_results, tmp_path, *requests)
    assert len(found) == 3 * 8 * 3
    assert len({tuple(words) for words in words_of(found)}) == len(found)
