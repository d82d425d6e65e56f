"""Frames as csv text, the same bytes for the same numbers."""

from __future__ import annotations

import pandas as pd

from analysis.frames.bits import BITS
from sweeps.grid.declared import SETTINGS


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as csv text: no index, floats in their shortest exact form, missing values empty.

    A setting that came later than the first files has a column only where some row has another value than its default.
    """
    frame = without_unused(frame)
    return str(frame.to_csv(index=False, lineterminator="\n")).encode()


def without_unused(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the columns of later settings that all rows have at their default, and of bits where there are none."""
    later = [setting for setting in SETTINGS if not setting.always_hashed and setting.name in frame]
    unused = [s.name for s in later if {None if pd.isna(v) else v for v in frame[s.name]} <= {s.default, None}]
    unused += [name for name in map(str, frame) if BITS in name and frame[name].isna().all()]
    return frame.drop(columns=unused)
