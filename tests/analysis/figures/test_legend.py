from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.legend import RHO_C, critical_in_words, wrapped
from analysis.summaries.critical import RETURNS, TRANSITION

NAN = math.nan


def row(**changes: Any) -> dict[str, Any]:
    known = {"verdict": TRANSITION, "rho_critical": 0.9512, "bracket_low": 0.93, "bracket_high": 0.97}
    return {**known, "interval_low": NAN, "interval_high": NAN, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, f"{RHO_C} ≈ 0.951 (grid 0.93–0.97)"),
        ({"interval_low": 0.941, "interval_high": 0.9604}, f"{RHO_C} ≈ 0.951 [0.941, 0.960]"),
        ({"bracket_low": 0.8, "bracket_high": 1.0}, f"{RHO_C} ≈ 0.95 (grid 0.8–1)"),
        ({"verdict": RETURNS}, f"{RHO_C} ≈ 0.951 (grid 0.93–0.97) (above half again at the end)"),
        ({"verdict": "never active"}, f"no {RHO_C}: never active"),
    ],
)
def test_a_critical_value_has_no_more_digits_than_it_is_known_to(changes: dict[str, Any], words: str) -> None:
    assert critical_in_words(row(**changes)) == words


@given(st.lists(st.text("abcdefg ", min_size=1, max_size=12), min_size=1, max_size=9), st.floats(0.5, 4))
def test_wrapping_loses_no_word_and_breaks_only_between_them(words: list[str], inches: float) -> None:
    text = wrapped(words, inches)
    assert text.replace(",\n", ", ") == ", ".join(words)
    assert len(text.splitlines()) >= len(wrapped(words, 2 * inches).splitlines())
