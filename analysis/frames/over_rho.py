"""The cells that a report on the fall of the top layer is about: on the rho axis, the blown-up ones apart."""

from __future__ import annotations

import pandas as pd

from analysis.frames.baseline import blown_up_apart
from analysis.frames.matched_beta import on_rho_axis


def over_rho(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy frame with matched-beta cells at their rho and blown-up cells in a state of their own."""
    return blown_up_apart(on_rho_axis(frame))
