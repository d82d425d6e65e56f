from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.checks import SpecError
from hvae_core.spec import ObjectiveSpec
from sweeps.grid.methods import BASES, objectives_of, read_anneal, with_beta


def methods(*names: str, rhos: tuple[float, ...] = (0.8, 0.9)) -> list[ObjectiveSpec]:
    return list(objectives_of(names, rhos, 5, (10, 40), (0.5, 2.0), 7))


def test_each_name_is_its_objective() -> None:
    assert methods("vae") == [ObjectiveSpec(1.0)]
    assert methods("hvae") == [ObjectiveSpec(0.8), ObjectiveSpec(0.9)]
    assert methods("hvae-ratio", rhos=(0.8,)) == [ObjectiveSpec(0.8, smoothing="ratio")]
    assert methods("kl-anneal") == [ObjectiveSpec(1.0, kl_anneal=(10, 40))]
    assert methods("free-bits") == [ObjectiveSpec(1.0, free_bits=0.5), ObjectiveSpec(1.0, free_bits=2.0)]
    assert methods("iwae") == [ObjectiveSpec(1.0, iwae_k=7)]
    assert methods("hvae+kl-anneal", rhos=(0.8,)) == [ObjectiveSpec(0.8, kl_anneal=(10, 40))]
    assert len(methods("hvae+free-bits+kl-anneal")) == 4


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("extra", ["", "kl-anneal", "free-bits", "iwae", "kl-anneal+free-bits"])
def test_the_name_of_what_comes_out_is_the_name_asked_for(base: str, extra: str) -> None:
    asked = "+".join(part for part in (base, extra) if part)
    expected = extra if base == "vae" and extra else asked
    assert {objective.method for objective in methods(asked)} == {expected}


def test_smoothed_methods_leave_out_rho_one() -> None:
    assert methods("hvae", rhos=(0.5, 1.0)) == [ObjectiveSpec(0.5)]


@pytest.mark.parametrize(
    "name", ["", "VAE", "hvae+hvae", "kl-anneal+kl-anneal", "vae+", "+vae", "free-bits+vae", "iwae+free-bits", "x"]
)
def test_what_is_no_method_is_refused(name: str) -> None:
    with pytest.raises(SpecError):
        methods(name)


def test_a_method_without_its_value_names_the_flag() -> None:
    for name, flag in (("kl-anneal", "kl-anneal"), ("free-bits", "free-bits"), ("hvae", "rho")):
        with pytest.raises(SpecError, match=f"^{flag}: "):
            objectives_of([name], (), 5, None, (), 5)


def test_annealing_is_in_steps_or_in_percent_of_the_run() -> None:
    assert read_anneal(None, 100) is None
    assert read_anneal("10000:500000", 100) == (10_000, 500_000)
    assert read_anneal("1%:50%", 3000) == (30, 1500)
    assert read_anneal("0:0.1%", 100) == (0, 1), "a ramp is at least one step"
    for text in ("5", "5:", "a:b", "1.5:3", "-1:3", "1:2:3", "%:5"):
        with pytest.raises(SpecError, match="kl-anneal"):
            read_anneal(text, 100)


@given(st.floats(0, 1), st.integers(2, 50))
def test_matched_beta_is_the_law_of_the_average_without_the_smoothing(rho: float, k: int) -> None:
    """Var of a K-sample average of unit-variance variables whose pairwise correlation is rho^2."""
    (matched,) = with_beta([ObjectiveSpec(rho, k)], "matched")
    assert matched.rho == 1
    assert matched.ou_samples == k
    correlation = ObjectiveSpec(rho).rho ** 2
    assert matched.beta_top == pytest.approx((k + k * (k - 1) * correlation) / k**2, abs=1e-9)


def test_beta_is_a_number_or_matched() -> None:
    (heavy,) = with_beta([ObjectiveSpec(0.8)], "0.25")
    assert (heavy.beta_top, heavy.rho) == (0.25, 0.8)
    for text in ("x", "-1", "nan", "inf"):
        with pytest.raises(SpecError, match="beta-top"):
            with_beta([ObjectiveSpec(0.8)], text)
    assert not math.isnan(heavy.beta_top)
