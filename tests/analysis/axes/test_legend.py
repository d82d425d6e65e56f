from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D

from analysis.axes.legend import C_C, CROSSOVERS, RHO_C, critical_in_words, crossovers_in_words, level, wrapped
from analysis.axes.style import new_figure, paper_style

NAN = math.nan


def row(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"kind": "kink", "rho_critical": 0.9512, "grid_low": 0.93, "grid_high": 0.97}
    known |= {"interval90_low": 0.941, "interval90_high": 0.9604, "rounding": 0.02, "widest": 0.03, "rho_crossing": NAN}
    return {**known, "active_most": 5.0, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, f"{RHO_C} = 0.951 [0.941–0.960]"),
        ({"kind": "undecided", "interval90_high": 0.98}, f"{RHO_C} = 0.95 [0.94–0.98]"),
        ({"interval90_low": 0.8}, f"{RHO_C} in [0.80–0.96]"),
        ({"kind": "bracket"}, f"{RHO_C} between 0.93 and 0.97 (grid)"),
        ({"kind": "crossover"}, "crossover, width 0.02–0.03"),
        ({"kind": "crossover", "widest": 0.02}, "crossover, width 0.02"),
        ({"kind": "crossover", "widest": math.inf}, "crossover, width ≥ 0.02"),
        (
            {"kind": "crossover", "rho_crossing": 0.962},
            "crossover at ρ = 0.96, width 0.02–0.03",
        ),
        (
            {"kind": "crossover", "rho_crossing": 0.962, "symbol": C_C},
            "crossover at c = 0.96, width 0.02–0.03",
        ),
        ({"kind": "flat"}, f"no {RHO_C}: no transition here"),
        ({"active_most": 0.0}, "top layer inactive at every ρ"),
    ],
)
def test_a_critical_value_has_no_more_digits_than_it_is_known_to(changes: dict[str, Any], words: str) -> None:
    assert critical_in_words(row(**changes)) == words


@given(st.lists(st.text("abcdefg ", min_size=1, max_size=12), min_size=1, max_size=9), st.floats(0.5, 4))
def test_wrapping_loses_no_word_and_breaks_only_between_them(words: list[str], inches: float) -> None:
    text = wrapped(words, inches)
    assert text.replace(",\n", ", ") == ", ".join(words)
    assert len(text.splitlines()) >= len(wrapped(words, 2 * inches).splitlines())


def test_handles_stand_level_with_the_first_line_of_their_labels() -> None:
    """Beside the middle of three lines a handle could be taken for that of the next label."""
    with paper_style():
        figure = new_figure(3, 2)
        handles = [Line2D([], []) for _ in range(2)]
        legend = level(figure.legend(handles, ["one\ntwo\nthree", "four"], handleheight=1.0, frameon=False))
        figure.draw_without_rendering()
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        assert handle is not None
        box = text.get_window_extent()
        line = box.height / (text.get_text().count("\n") + 1)
        middle = handle.get_window_extent().y0
        assert box.y1 - line < middle < box.y1


def test_what_the_place_of_a_crossover_is_stands_where_one_is_drawn() -> None:
    assert crossovers_in_words([row(kind="crossover")]) == [], "without a place there is nothing to say"
    assert crossovers_in_words([row(), row(kind="crossover", rho_crossing=0.9)]) == [CROSSOVERS]
    assert crossovers_in_words([row(kind="crossover", rho_crossing=0.9, active_most=0.0)]) == [], "inactive"
