"""Tables of curves as text for a terminal, narrow enough to be read: the csv beside them has every column."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from analysis.frames.curves import DEFAULTS, SETTINGS


def printed(table: pd.DataFrame, always: Collection[str]) -> str:
    """Write the columns `always`, and the settings in which rows differ or that are not the default; `-` is missing."""
    names = [name for name in table if name in always or (name in SETTINGS and _is_telling(str(name), table[name]))]
    return str(table[names].map(_text).to_string(index=False))


def _is_telling(name: str, column: pd.Series[Any]) -> bool:
    """Whether a reader needs a setting: it varies over the rows, or is one value that is not the default."""
    values = {None if pd.isna(value) else value for value in column}
    return len(values) > 1 or (name in DEFAULTS and values != {DEFAULTS[name]})


def _text(value: Any) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
