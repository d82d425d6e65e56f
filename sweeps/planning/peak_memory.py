"""How much memory training takes, measured: the paper's Table 6. Each model in a process of its own."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data import Dataset
from hvae_core.families.base import Family
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.systems.sizes import parameters
from sweeps.planning.resources import usable_cpus

STEPS = 2  # the second has the optimiser's state
IMAGES = 16  # that there are to draw from


@dataclass(frozen=True)
class Peak:
    """What one model took at most, in bytes; None where the process did not survive it."""

    model: str
    method: str
    parameters: int
    batch_size: int
    device: str
    bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return asdict(self)


def measured(
    models: Sequence[Family],
    objectives: Sequence[ObjectiveSpec],
    train: TrainSpec,
    image: ImageSpec,
    say: Callable[[str], None],
) -> list[Peak]:
    """Measure every model with every objective; raises SpecError for a bad setting before anything is measured."""
    import torch

    from hvae_core.precision import check_precision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    check_precision(train.precision, device)
    asked = [(model, objective) for model in models for objective in objectives]
    sizes = [parameters(model, image, objective, train.mixture) for model, objective in asked]
    peaks = []
    for (model, objective), size in zip(asked, sizes, strict=True):
        method = f"{objective.method}{_samples(objective)}"
        say(f"measuring {model.name}, {method}")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            try:
                found = child.submit(step_bytes, model.name, objective, train, image, device).result()
            except (BrokenProcessPool, MemoryError, RuntimeError) as error:  # out of memory, most likely
                say(f"{model.name}, {method}: {str(error).splitlines()[0] if str(error) else 'out of memory'}")
                found = None
        peaks.append(Peak(model.name, method, size, train.batch_size, device, found))
    return peaks


def _samples(objective: ObjectiveSpec) -> str:
    if objective.iwae_k > 1:
        return f" k={objective.iwae_k}"
    return f" K={objective.ou_samples}" if objective.rho < 1 else ""


def step_bytes(model: str, objective: ObjectiveSpec, train: TrainSpec, image: ImageSpec, device: str) -> int:
    """Peak bytes of a few training steps of one model, in this process and over what it had before."""
    import torch

    from hvae_core.training.trainer import PackTrainer

    torch.set_num_threads(usable_cpus())
    family, data = parse_model(model), _random_images(image)
    # What a first step loads is no model's: libraries that torch imports when they are needed.
    small = parse_model("mlp2x2h1"), [Member(objective)], replace(train, batch_size=1)
    PackTrainer(*small, data, torch.device(device), captured=False).advance()
    before = _current()
    trainer = PackTrainer(family, [Member(objective)], train, data, torch.device(device), captured=False)
    for _ in range(STEPS):
        trainer.advance()
    if device == "cuda":
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated())
    return _most() - before


def _random_images(image: ImageSpec) -> Dataset:
    draw = np.random.default_rng(0)
    images = {
        key: draw.integers(0, image.levels, (IMAGES, *image.shape), dtype=np.uint8)
        for key in ("train", "valid", "test")
    }
    binarise = "none" if image.levels > 2 else "static"
    return Dataset.of(name="random", source="random", reference="", shape=image.shape, images=images, binarise=binarise)


def _current() -> int:
    """Bytes of main memory that this process holds now, or where that is not known the most it has held."""
    return _status("VmRSS") or _most()


def _most() -> int:
    """Return the most bytes of main memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int:
    """Return an entry of Linux's /proc/self/status in bytes; 0 elsewhere. Its ru_maxrss counts the parent's memory."""
    file = Path("/proc/self/status")
    if not os.access(file, os.R_OK):
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def table(peaks: Sequence[Peak]) -> str:
    """Write the peaks as aligned lines, each beside its ratio to the first of its model."""
    first = {peak.model: next(each.bytes for each in peaks if each.model == peak.model) for peak in peaks}
    rows = [("model", "method", "parameters", "peak memory", "ratio")]
    for peak in peaks:
        reference = first[peak.model]
        ratio = f"{peak.bytes / reference:.2f}" if peak.bytes and reference else "-"
        said = "out of memory" if peak.bytes is None else f"{peak.bytes / 2**20:,.0f} MiB"
        rows.append((peak.model, peak.method, f"{peak.parameters / 1e6:.2f} M", said, ratio))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust, str.ljust, str.rjust, str.rjust, str.rjust]
    lines = ["  ".join(side(word, n) for side, word, n in zip(sides, row, widths, strict=True)) for row in rows]
    one = peaks[0]
    what = "tensors on the GPU" if one.device == "cuda" else "the process's memory beyond its start"
    return "\n".join([*lines, f"batch {one.batch_size}, {one.device}: most of {what} over {STEPS} steps"])
