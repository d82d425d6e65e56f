"""Matched-beta cells on the rho axis, which ask whether smoothing is more than a hidden beta.

An unsmoothed model (rho = 1) whose top KL has the weight beta = c(rho', K) = rho'^2 (1 - 1/K) + 1/K stands where the
smoothed model with rho' stands; in the linear case both have the same threshold. `hvae-sweep rho --beta-top matched`
trains them.
"""

from __future__ import annotations

import pandas as pd

from analysis.frames.curves import CURVE


def on_rho_axis(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with matched-beta cells at their rho' and without a beta_top of their own, as one curve.

    Where at least two different betas of otherwise equal unsmoothed cells lie in [1/K, 1), they and the plain model
    (beta = 1, which belongs to both curves) become that curve. Everything else stays as it is.
    """
    K, beta = frame["ou_samples"].astype(float), frame["beta_top"]
    share = (beta - 1 / K) / (1 - 1 / K).where(K > 1)
    candidate = (frame["rho"] == 1) & (share > -1e-9) & (beta <= 1)
    others = [name for name in CURVE if name != "beta_top"]
    weights = beta[candidate & (beta < 1)].groupby([frame[name] for name in others], dropna=False)
    several = weights.transform("nunique").reindex(frame.index, fill_value=0) >= 2
    if not several.any():
        return frame
    groups = frame[several][others].drop_duplicates()
    inside = frame[others].merge(groups, on=others, how="left", indicator=True)["_merge"].eq("both").to_numpy()
    moved = frame[candidate & inside].copy()
    moved["rho"] = share[moved.index].clip(lower=0).pow(0.5).round(12)
    moved["beta_top"] = float("nan")
    # The plain model stays on the smoothed curve too, if there is one to stay on.
    smoothed = frame[inside & (frame["rho"] < 1)][others].drop_duplicates()
    kept = frame[others].merge(smoothed, on=others, how="left", indicator=True)["_merge"].eq("both").to_numpy()
    rest = frame[~(candidate & inside) | ((beta == 1) & kept)]
    return pd.concat([rest, moved], ignore_index=True)
