"""Rounding of products: what is asked for holds inside, in evaluation too, and nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from hvae_core.data import Dataset
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.precision import products
from hvae_core.spec import Member, TrainSpec
from hvae_core.training.trainer import PackTrainer

BACKENDS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = [backend.fp32_precision for backend in BACKENDS]
    yield
    for backend, setting in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = setting


def settings() -> list[str]:
    return [backend.fp32_precision for backend in BACKENDS]


@pytest.mark.parametrize("theirs", ["tf32", "ieee", "none"])
def test_settings_of_the_process_are_left_as_they_were(theirs: str) -> None:
    """The older process-wide setting raises where torch's newer one of a backend has been used."""
    for backend in BACKENDS:
        backend.fp32_precision = theirs
    for precision, expected in (("float32", "ieee"), ("float64", "ieee"), ("tf32", "tf32")):
        with products(precision):  # type: ignore[arg-type]
            assert settings() == [expected] * 2
        with pytest.raises(KeyError), products(precision):  # type: ignore[arg-type]
            raise KeyError
        assert settings() == [theirs] * 2


def test_training_and_evaluation_do_not_round_convolutions_unasked(bars: Dataset) -> None:
    """By default torch lets cuDNN do so: a model called float32 would not be."""
    trainer = PackTrainer(parse_model("conv2x2x2x2f3"), [Member()], TrainSpec(batch_size=4), bars, torch.device("cpu"))
    seen: list[list[str]] = []
    trainer.model.posteriors[0].register_forward_hook(lambda *_: seen.append(settings()))
    for backend in BACKENDS:
        backend.fp32_precision = "tf32"
    trainer.advance()
    evaluate(trainer.model, torch.from_numpy(bars.valid), [0], "valid")
    assert len(seen) > 2
    assert all(each == ["ieee", "ieee"] for each in seen)
    assert settings() == ["tf32", "tf32"]
