from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from hvae_core.data import Dataset, load_dataset
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.memory import member_bytes
from hvae_core.training.trainer import PackTrainer


def levels_of(bars: Dataset) -> Dataset:
    """The same images in 256 levels."""
    images = {key: 250 * getattr(bars, key) for key in ("train", "valid", "test")}
    facts = {"name": bars.name, "source": bars.source, "reference": "", "shape": bars.image.shape}
    return Dataset.of(**facts, images=images, binarise="none")  # type: ignore[arg-type]


SLACK = 2.1  # an estimate is at most that many times what is measured


def peak(work: Callable[[], object]) -> int:
    """Most bytes that were allocated at once while it worked, beside those allocated before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize(
    ("model", "settings", "run"),
    [
        ("mlp4x40", {}, {"batch_size": 100}),
        ("mlp3x16h64", {}, {"batch_size": 64}),
        ("mlp3x16h64", {"smoothing": "ratio"}, {"batch_size": 64}),
        ("mlp4x40", {"ou_samples": 20}, {"batch_size": 50, "precision": "float64"}),
        ("mlp16-8-4", {"iwae_k": 10}, {"batch_size": 32}),
        ("mlp1x32", {}, {"batch_size": 100, "precision": "float64"}),
        ("mlp3x200", {}, {"batch_size": 100}),
        ("conv3x4x7x7f16", {}, {"batch_size": 64}),
        ("resnet2x2x7x7b1f8skip", {}, {"batch_size": 50}),
        ("mlp2x8h16", {}, {"batch_size": 50, "mixture": 5}),
        ("mlp3x32h64", {"system": "lvae"}, {"batch_size": 200}),
        ("mlp3x32h64", {"system": "biva"}, {"batch_size": 200}),
        ("mlp2x32h64", {"system": "vampprior", "pseudo_inputs": 100}, {"batch_size": 200}),
        ("conv2x2x7x7f4", {"system": "vampprior", "pseudo_inputs": 50}, {"batch_size": 50}),
        ("conv2x2x7x7f4", {}, {"batch_size": 50, "mixture": 10}),
    ],
)
def test_a_member_takes_no_more_than_it_says_and_not_much_less(
    model: str, settings: dict[str, Any], run: dict[str, Any], write_images: Callable[..., Path], tmp_path: Path
) -> None:
    """Measured as the difference between packs of four and two members."""
    spec, objective, train = parse_model(model), ObjectiveSpec(0.9, **settings), TrainSpec(2, **run)
    data = load_dataset(str(write_images(tmp_path / "bars.npz", side=28, train=200, test=1000)))
    data = levels_of(data) if train.mixture > 1 else data
    found = []
    for members in (2, 4):
        trainer = PackTrainer(spec, [Member(objective)] * members, train, data, torch.device("cpu"))
        trainer.advance()
        trainer.optimiser.zero_grad(set_to_none=True)
        images, seeds = torch.from_numpy(data.test), [0] * members
        training = peak(trainer.advance)
        evaluation = peak(partial(evaluate, trainer.model, images, seeds, "test"))
        bound = peak(partial(importance_bound, trainer.model, images[:5], 100, seeds))
        weights = sum(parameter.nbytes for parameter in trainer.model.parameters())
        found.append((3 * weights + max(training, evaluation, bound), 3 * weights + training + max(evaluation, bound)))
    measured, held = ((more - less) / 2 for less, more in zip(*found, strict=True))
    assert measured <= member_bytes(spec, objective, train, data.image) <= SLACK * measured
    captured = member_bytes(
        spec, objective, train, data.image, captured=True
    )  # the recording stays beside an evaluation
    assert held <= captured <= SLACK * held
