"""What a command of `hvae-plot` hands back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Report:
    """What was written, a line on everything left out, the numbers as a frame, and as text for the standard output."""

    files: list[Path]
    notes: list[str]
    table: pd.DataFrame
    text: str
