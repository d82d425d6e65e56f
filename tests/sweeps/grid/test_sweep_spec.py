from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hvae_core.checks import SpecError
from hvae_core.families.registry import parse_model
from sweeps.grid.sweep_spec import SweepSpec, rho_axis


def test_the_grid_is_the_product_with_seeds_outermost(spec: SweepSpec) -> None:
    other = replace(spec.data[0], asked="more", name="more", checksum="e" * 64)
    grid = replace(spec, data=(spec.data[0], other), models=(*spec.models, parse_model("mlp1x2")))
    found = [(c.member.seed, c.dataset, c.model.name, c.member.objective.rho) for c in grid.cells()]
    assert found == list(itertools.product((0, 1), ("bars", "more"), ("mlp2x3h6", "mlp1x2"), (0.5, 1.0)))


def test_a_point_asked_for_twice_is_named(spec: SweepSpec) -> None:
    with pytest.raises(SpecError, match="rho 0.5 seed 0 is asked for twice"):
        replace(spec, objectives=rho_axis(spec.objectives[0], (0.5, 0.1 + 0.4))).cells()


def test_a_model_too_large_for_the_images_is_refused(spec: SweepSpec) -> None:
    huge = parse_model("mlp1x2h10000")
    with pytest.raises(SpecError, match=r"mlp1x2h10000.*10\^9"):
        replace(spec, models=(huge,), data=(replace(spec.data[0], shape=(1, 100, 1000)),))


@pytest.mark.parametrize("name", ["models", "data", "objectives", "seeds"])
def test_an_empty_axis_is_refused(spec: SweepSpec, name: str) -> None:
    with pytest.raises(SpecError, match=name):
        SweepSpec(**{**vars(spec), name: ()})
