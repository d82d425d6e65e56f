"""What of a critical rho is drawn, whoever draws it."""

from __future__ import annotations

import math

import pytest

from analysis.axes.critical_extent import critical_extent


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "bracket"}, (0.9, 0.95)),
        ({"kind": "crossover"}, (0.92, 0.96)),
        ({"kind": "crossover", "widest": math.inf}, (0.93, 0.95)),
        ({"kind": "crossover", "rho_crossing": math.nan}, None),
        ({"kind": "crossover", "rho_crossing": 0.99}, (0.97, 1.0)),
        ({"kind": "crossover", "rho_crossing": 0.01}, (0.0, 0.03)),
        ({"kind": "crossover", "extent_low": 0.88, "extent_high": 0.93}, (0.88, 0.93)),
        ({"kind": "flat"}, None),
        ({"kind": "kink", "interval90_low": 0.93, "interval90_high": 0.95}, (0.93, 0.95)),
        ({"kind": "kink", "interval90_low": 0.93, "interval90_high": 0.95, "active_most": 0.0}, None),
        ({"kind": "bracket", "active_most": 0.0}, None),
    ],
)
def test_what_has_no_place_is_not_drawn(changes: dict[str, object], expected: tuple[float, float] | None) -> None:
    row = {"active_most": 5.0, "grid_low": 0.9, "grid_high": 0.95, "rounding": 0.02, "widest": 0.04}
    row |= {"rho_crossing": 0.94, "interval90_low": math.nan, "interval90_high": math.nan}
    found = critical_extent({**row, **changes})
    assert found is None if expected is None else found == pytest.approx(expected)
