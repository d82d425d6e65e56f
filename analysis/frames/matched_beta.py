"""Matched-beta cells on the rho axis, which ask whether smoothing is more than a hidden beta.

An unsmoothed model (rho = 1) whose top KL has the weight beta = c(rho', K) = rho'^2 (1 - 1/K) + 1/K stands where the
smoothed model with rho' stands; in the linear case both have the same threshold. `hvae-sweep rho --beta-top matched`
trains them.
"""

from __future__ import annotations

import pandas as pd

from analysis.frames.curves import CURVE

OTHERS = [name for name in CURVE if name != "beta_top"]


def on_rho_axis(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with matched-beta cells at their rho' and without a beta_top of their own, as one curve.

    Where at least two different betas of otherwise equal unsmoothed cells lie in [1/K, 1), they and the plain model
    (beta = 1, which belongs to both curves) become that curve. Everything else stays as it is.
    """
    moved = [_moved(rows) for _, rows in frame.groupby(OTHERS, dropna=False, sort=False)]
    if all(cells.empty for cells in moved):
        return frame
    both = pd.concat(moved)
    # The plain model stays on the smoothed curve too, if there is one to stay on.
    smoothed = (frame["rho"] < 1).groupby([frame[name] for name in OTHERS], dropna=False).transform("any")
    stays = ~frame.index.isin(both.index) | ((frame["beta_top"] == 1) & smoothed)
    return pd.concat([frame[stays], both], ignore_index=True)


def _moved(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the matched-beta cells among cells that differ in rho, beta_top and seed alone, at their rho'."""
    K, beta = rows["ou_samples"].astype(float), rows["beta_top"]
    squared_rho = (beta - 1 / K) / (1 - 1 / K).where(K > 1)  # c(rho', K) = beta, solved for rho'^2
    matched = (rows["rho"] == 1) & (squared_rho > -1e-9) & (beta <= 1)
    if beta[matched & (beta < 1)].nunique() < 2:
        return rows.iloc[:0]
    return rows[matched].assign(rho=squared_rho[matched].clip(lower=0).pow(0.5).round(12), beta_top=float("nan"))
