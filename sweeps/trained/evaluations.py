"""What can be evaluated of complete cells later on, from their weights: a bound, the share, the information.

Each is a file eval-<name>.json beside the result, which stays as it is.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.evaluation.active_units import ACTIVE_EXAMPLES, active_units
from hvae_core.evaluation.bounds import BOUND_BLOCK, SAMPLE_BLOCK, importance_bound
from hvae_core.evaluation.information import information
from hvae_core.families.base import Family
from hvae_core.systems.base import System

MAX_STACK = 16  # models that are evaluated as one stack, where memory allows
MEMORY = 2 * 2**30  # bytes for the paths of a stack
SMALL = (50, 150)  # examples by which the cost of information is measured


class Evaluation(ABC):
    """A kind of later evaluation: `name` is that of its file, `examples` how many test images are asked for."""

    name: str
    title: str
    examples: int

    @abstractmethod
    def is_done(self, result: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
        """Whether a cell has it: in its result, or in what an earlier evaluation of this name found."""

    @abstractmethod
    def measure(self, model: System, images: Tensor, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Evaluate a stack of models on test images; returns each member's entries of its file."""

    @abstractmethod
    def seconds(self, model: System, images: Tensor, seeds: Sequence[int]) -> float:
        """Estimate how long that takes, from small parts of it."""

    @abstractmethod
    def line(self, facts: Mapping[str, Any]) -> str:
        """Say what was found for a cell, in a few words."""

    def stack(self, model: Family) -> int:
        """How many models are evaluated as one."""
        return MAX_STACK


class LaterBound(Evaluation):
    """L_k with k = samples."""

    def __init__(self, samples: int, examples: int) -> None:
        self.samples, self.examples = samples, examples
        self.name, self.title = str(samples), f"L_{samples}"

    def is_done(self, result: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
        """Whether it was taken on at least as many images."""
        return found is not None and found["asked"] >= self.examples

    def measure(self, model: System, images: Tensor, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Take the bound."""
        bound = importance_bound(model, images, self.samples, seeds)
        return [
            {
                "ll": float(bound.value[i]),
                "ll_se": float(bound.standard_error[i]) if len(images) > 1 else None,
                "ll_ess": float(bound.effective_samples[i]),
                "samples": self.samples,
            }
            for i in range(len(seeds))
        ]

    def seconds(self, model: System, images: Tensor, seeds: Sequence[int]) -> float:
        """Time one block of images and samples, after one to warm up."""
        least, block = min(self.samples, SAMPLE_BLOCK), images[:BOUND_BLOCK]
        importance_bound(model, block, least, seeds)
        taken = _seconds(lambda: importance_bound(model, block, least, seeds))
        return taken * (len(images) / len(block)) * (self.samples / least)

    def line(self, facts: Mapping[str, Any]) -> str:
        """Say the bound."""
        return f"{self.title} {facts['ll']:.2f} nats"


class LaterShare(Evaluation):
    """share_i, for cells from before it was in every result."""

    name, title, examples = "share", "the share of each layer", ACTIVE_EXAMPLES

    def is_done(self, result: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
        """Whether the result or an evaluation has it."""
        return "share_top" in result or found is not None

    def measure(self, model: System, images: Tensor, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Take it with the noise of a test evaluation, so that it is the number that a result would have."""
        activity = active_units(model, images, seeds, "test")
        return [{"metrics": activity.shares(i)} for i in range(len(seeds))]

    def seconds(self, model: System, images: Tensor, seeds: Sequence[int]) -> float:
        """Time a block of images."""
        block = images[: SMALL[0]]
        return _seconds(lambda: active_units(model, block, seeds, "test")) * len(images) / len(block)

    def line(self, facts: Mapping[str, Any]) -> str:
        """Say that of the top layer."""
        return f"top share {facts['metrics']['share_top']:.2f}"


class LaterInformation(Evaluation):
    """info_i: lower and upper estimates of I_q(x; z_i) from so many paths of each example."""

    name, title = "information", "the information in each layer"

    def __init__(self, examples: int, paths: int) -> None:
        self.examples, self.paths = examples, paths

    def is_done(self, result: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
        """Whether it was taken with at least as many examples and paths."""
        return found is not None and found["asked"] >= self.examples and found["paths"] >= self.paths

    def measure(self, model: System, images: Tensor, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Estimate it."""
        found = information(model, images, seeds, self.paths)
        return [{"metrics": found.row(i), "paths": self.paths} for i in range(len(seeds))]

    def seconds(self, model: System, images: Tensor, seeds: Sequence[int]) -> float:
        """Time it on two small sets of images, a n + b n^2."""
        few, more = (min(n, len(images)) for n in SMALL)
        information(model, images[:few], seeds, self.paths)  # a first call on a GPU is no measure
        a, b = (_seconds(lambda: information(model, images[:n], seeds, self.paths)) for n in (few, more))  # noqa: B023
        if few == more:
            return b
        square = max(0.0, (b / more - a / few) / (more - few))
        return len(images) * (a / few + square * (len(images) - few))

    def line(self, facts: Mapping[str, Any]) -> str:
        """Say that of the top layer."""
        found = facts["metrics"]
        return f"top layer: {found['info_top']:.2f} to {found['info_top_high']:.2f} nats about the image"

    def stack(self, model: Family) -> int:
        """As many as there is memory for: mean, std and sample of every path, and the largest layer's factors."""
        each = 8 * self.examples * self.paths * (3 * sum(model.units) + 4 * max(model.units))
        return max(1, min(MAX_STACK, MEMORY // each))


def evaluation(what: str, samples: int | None, paths: int | None, examples: int | None) -> Evaluation:
    """Return the evaluation asked for; raises SpecError for a number that it has no use for."""
    uses = {"bound": {"samples", "examples"}, "information": {"paths", "examples"}, "share": set[str]()}[what]
    for name, value in (("samples", samples), ("paths", paths), ("examples", examples)):
        if value is not None and name not in uses:
            raise SpecError(f"{name}: {value} is not allowed with --what {what}, which has no use for it")
    if what == "bound":
        return LaterBound(samples or 5000, examples or 10_000)
    return LaterInformation(examples or 1000, paths or 32) if what == "information" else LaterShare()


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
