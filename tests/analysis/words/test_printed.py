"""Which columns a table on the terminal has, and how their values are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.frames.curves import DEFAULTS, SETTINGS
from analysis.reports import collapse, phase_transition
from analysis.requests.plot_request import PlotRequest
from analysis.words.printed import printed
from hvae_core.spec import TrainSpec

Make = Callable[..., Any]
PLAIN: dict[str, Any] = {**dict.fromkeys(SETTINGS, 7), **DEFAULTS, "model": "mlp2x4", "n": 3, "value": 0.123456}


def columns(*rows: dict[str, Any]) -> list[str]:
    return printed(pd.DataFrame([PLAIN | row for row in rows]), ("model", "value")).splitlines()[0].split()


def test_what_is_plain_and_alike_is_left_to_the_csv() -> None:
    assert columns({}) == columns({}, {"model": "mlp3x4"}) == ["model", "value"]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_differs_is_a_column(name: str) -> None:
    other = {"kl_anneal": "1:2", "free_bits": 0.5, "smoothing": "ratio", "precision": "tf32"}.get(name, 8)
    assert set(columns({}, {name: other})) == {"model", "value", name}
    alone = {"model", "value", name} if name in DEFAULTS else {"model", "value"}
    assert set(columns({name: other})) == alone


def test_values_are_short_and_missing_ones_a_dash() -> None:
    table = pd.DataFrame({"model": ["a", "b"], "value": [0.123456, math.nan], "kl_anneal": [None, "1:2"]})
    table["free_bits"] = pd.Series([pd.NA, 3], dtype="Int64")
    assert [line.split() for line in printed(table, ("model", "value")).splitlines()] == [
        ["model", "value", "kl_anneal", "free_bits"],
        ["a", "0.1235", "-", "-"],
        ["b", "-", "1:2", "3"],
    ]


def test_rows_of_a_report_can_be_told_apart(make_results: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"models": ("mlp1x4h8", "mlp2x4h8"), "rhos": (0.5, 0.9, 1.0)}
    make_results(tmp_path / "a", **options)
    make_results(tmp_path / "b", **options, objective={"free_bits": 0.5}, train=TrainSpec(3000, lr=0.002))
    request = PlotRequest([tmp_path], tmp_path / "out", formats=())
    for module in (phase_transition, collapse):
        lines = [line.split() for line in module.report(request).text.splitlines()]
        free, lr = lines[0].index("free_bits"), lines[0].index("lr")
        assert {(line[free], line[lr]) for line in lines[1:]} == {("-", "0.001"), ("0.5", "0.002")}
