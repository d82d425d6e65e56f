"""The final numbers of a trained pack: each member's metrics on the test images, its bound, its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import safetensors.torch
import torch

from hvae_core.data import Dataset, is_null
from hvae_core.evaluation.baseline import independent_pixels
from hvae_core.evaluation.blocks import choose_examples
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.systems.base import System
from hvae_core.training.trainer import TrainedPack
from sweeps.grid.cell import Cell
from sweeps.planning.pack_options import device_name

BOUND_SAMPLES = 100


def measure(trained: TrainedPack, cells: Sequence[Cell], data: Dataset, device: str) -> list[dict[str, Any]]:
    """Take the final metrics of every member on the whole test set."""
    metrics = evaluate(trained.model, torch.from_numpy(data.test).to(device), [c.member.seed for c in cells], "test")
    compared = cells[0].model.decodes and not is_null(data.name)  # of a null, independent pixels are the truth
    facts = {
        "test_examples": len(data.test),
        **({"baseline": independent_pixels(data, cells[0].train.mixture)} if compared else {}),
        "parameters": sum(parameter[0].numel() for parameter in trained.model.parameters()),
        "seconds": trained.seconds / len(cells),
        "pack_size": len(cells),
        "device": device_name(device),
    }
    return [metrics.row(i) | facts for i in range(len(cells))]


def bounds(
    trained: TrainedPack, cells: Sequence[Cell], data: Dataset, examples: int, device: str
) -> list[dict[str, Any]]:
    """Take L_100 of every member on a seeded choice of that many test images; with none, say so and no more."""
    chosen = choose_examples(len(data.test), examples)
    count = len(chosen)
    if not count:
        return [{"ll_examples": 0}] * len(cells)
    images = torch.from_numpy(data.test[chosen]).to(device)
    bound = importance_bound(trained.model, images, BOUND_SAMPLES, [cell.member.seed for cell in cells])
    return [
        {
            "ll_100": float(bound.value[i]),
            "ll_100_se": float(bound.standard_error[i]) if count > 1 else None,
            "ll_100_ess": float(bound.effective_samples[i]),
            "ll_examples": count,
        }
        for i in range(len(cells))
    ]


def member_weights(model: System, member: int) -> bytes:
    """One member's weights as a safetensors file; every tensor keeps a leading member axis of 1."""
    tensors = {name: value[member : member + 1].contiguous() for name, value in model.state_dict().items()}
    # One entry: safetensors writes several in no fixed order, and a file's checksum must not depend on it.
    return safetensors.torch.save(tensors, metadata={"image": model.image.text})
