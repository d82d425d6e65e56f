"""From a request to its cells: the grid that a sweep declares."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.families.base import Family
from hvae_core.families.mlp import MAX_PARAMETERS
from hvae_core.image import ImageSpec
from hvae_core.likelihoods.registry import outputs_of
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from sweeps.grid.cell import Cell


@dataclass(frozen=True)
class DataSource:
    """A data set as a request pinned it: what loads it again, and the checksum that it must have."""

    asked: str
    reference: str
    name: str
    source: str
    binarise: str
    checksum: str
    shape: tuple[int, int, int]
    levels: int
    train_images: int

    @classmethod
    def of(cls, asked: str, data: Dataset) -> DataSource:
        """Describe what a name asked for turned out to be."""
        image = data.image
        found = (data.reference, data.name, data.source, data.binarise, data.checksum)
        return cls(asked, *found, image.shape, image.levels, len(data.train))

    @property
    def image(self) -> ImageSpec:
        """Shape and levels of its images."""
        return ImageSpec(self.shape, self.levels)

    @property
    def pixels(self) -> int:
        """Values of an image."""
        return self.image.pixels


@dataclass(frozen=True)
class SweepSpec:
    """A grid: every model on every data set with every objective and training run from every seed.

    A model that cannot be trained as some system has no cells of it. The order of the cells is seed, data set, model,
    training run, objective, so that every condition shows early.
    """

    models: tuple[Family, ...]
    data: tuple[DataSource, ...]
    objectives: tuple[ObjectiveSpec, ...]
    seeds: tuple[int, ...]
    trains: tuple[TrainSpec, ...] = (TrainSpec(),)

    def __post_init__(self) -> None:
        for name in ("models", "data", "objectives", "seeds", "trains"):
            if not getattr(self, name):
                raise SpecError(f"{name}: at least one is needed")
        for model, data, train in itertools.product(self.models, self.data, self.trains):
            if model.parameters(data.image, outputs_of(data.image, train.mixture)) > MAX_PARAMETERS:
                raise SpecError(f"model: {model.name!r} is not allowed; it must be of at most 10^9 parameters")
        for model in self.models:
            if all(reasons := [model.why_not(objective.system) for objective in self.objectives]):
                raise SpecError(reasons[0])
        for system in self._systems:
            if all(reasons := [model.why_not(system) for model in self.models]):
                raise SpecError(reasons[0])

    @property
    def _systems(self) -> list[str]:
        return list(dict.fromkeys(objective.system for objective in self.objectives))

    @property
    def left_out(self) -> list[str]:
        """Say which models of the grid have no cells of which systems: there are none such."""
        return [reason for model in self.models for system in self._systems if (reason := model.why_not(system))]

    def cells(self) -> list[Cell]:
        """Expand the grid; raises SpecError where two points are the same cell."""
        cells = [
            Cell(data.name, data.source, data.checksum, data.binarise, model, Member(objective, seed), train)
            for seed, data, model, train, objective in itertools.product(
                self.seeds, self.data, self.models, self.trains, self.objectives
            )
            if not model.why_not(objective.system)
        ]
        seen: dict[str, Cell] = {}
        for cell in cells:
            if cell.id in seen:
                raise SpecError(f"grid: {cell.title} is asked for twice")
            seen[cell.id] = cell
        return cells

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved request: its axes by name, its data by content."""
        return {
            "model": [model.name for model in self.models],
            "datasets": [data.asked for data in self.data],
            "data": [{**asdict(data), "pixels": data.pixels} for data in self.data],
            "rho": list(dict.fromkeys(objective.rho for objective in self.objectives)),
            "objectives": [{"method": objective.method, **asdict(objective)} for objective in self.objectives],
            "seeds": list(self.seeds),
            **{name: values[0] if len(values) == 1 else values for name, values in self._training().items()},
        }

    def _training(self) -> dict[str, list[Any]]:
        """Return the values of each setting of the training runs."""
        every = [asdict(train) for train in self.trains]
        return {name: list(dict.fromkeys(train[name] for train in every)) for name in every[0]}


def rho_axis(base: ObjectiveSpec, rhos: Sequence[float]) -> tuple[ObjectiveSpec, ...]:
    """Return one objective at each rho."""
    return tuple(replace(base, rho=rho) for rho in rhos)
