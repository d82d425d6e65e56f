"""Cells that a baseline shows to be untrained: a finite loss is no proof of training.

A model whose ELBO is below that of independent pixels at the training mean (the column `baseline`) explains the test
images worse than their mean does: its KL is no transition's. One that is far below has blown up.
"""

from __future__ import annotations

import pandas as pd

from hvae_core.data import is_null

FAR = 2.0  # times the baseline


def below_baseline(rows: pd.DataFrame, times: float = 1.0) -> pd.Series[bool]:
    """Whether each row is a complete cell whose ELBO is below that many times its baseline; not where none is known.

    Of null data independent pixels are the truth: every model lies below it.
    """
    if "baseline" not in rows:
        return pd.Series(False, index=rows.index)
    known = (rows["state"] == "complete") & rows["baseline"].notna()
    if "dataset" in rows:
        known &= ~rows["dataset"].map(is_null).astype(bool)
    return known & (rows["elbo"] < times * rows["baseline"].fillna(0.0))


def blown_up_apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with cells far below their baseline in a state of their own, `untrained`."""
    return frame.assign(state=frame["state"].mask(below_baseline(frame, FAR), "untrained"))
