"""The panels of the phase-transition figure: which there are, how high, what they are called, and their scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.axes.elbo_axis import set_elbo_axis
from analysis.frames.curves import Curve

PANELS = {"kl_top": 1.6, "au_top": 0.7, "share_top": 0.8, "info_top": 0.8, "elbo": 1.1}  # height in inches
NAMES = {"kl": "kl_top", "active": "au_top", "share": "share_top", "information": "info_top", "elbo": "elbo"}


ALONE = {
    "kl_top": "top-layer KL (nats)",
    "au_top": "active top units",
    "share_top": "share from the image",
    "info_top": "information, lower estimate (nats)",
    "elbo": "test ELBO (nats)",
}
"""Labels of a panel that stands alone, of models whose widths may differ."""


def panels_of(frame: pd.DataFrame) -> list[str]:
    """Choose panels: KL, active units, information where it was evaluated or else the share where known, and ELBO."""
    known = [name for name in ("information", "share") if NAMES[name] in frame and frame[NAMES[name]].notna().any()]
    return ["kl", "active", *known[:1], "elbo"]


def label_of(metric: str, widths: set[int]) -> str:
    """Return the label of a panel's axis, where the top layers have these widths."""
    of = next(iter(widths)) if len(widths) == 1 else "D"
    labels = {
        "kl_top": "top-layer KL (nats)",
        "au_top": f"active top\nunits (of {of})",
        "share_top": "share from\nthe image",
        "info_top": "information\n≥ (nats)",
        "elbo": "ELBO − best median\n(nats, stretched)",
    }
    return labels[metric]


def set_scale(ax: Axes, metric: str, group: Sequence[Curve]) -> None:
    """Set the vertical scale of a panel below the KL's: units from 0 to D, share from 0 to 1, information from 0."""
    match metric:
        case "au_top":
            width = group[0].top_width
            ax.set_ylim(-0.06 * width, 1.06 * width)
            ax.set_yticks([0, width // 2, width] if width % 2 == 0 else [0, width])
        case "share_top":
            ax.set_ylim(-0.06, 1.06)
            ax.set_yticks([0, 0.5, 1], labels=["0", "0.5", "1"])
        case "info_top":
            most = max([0.1, *(value for curve in group if not math.isnan(value := _largest(curve, metric)))])
            ax.set_ylim(-0.06 * most, 1.06 * most)
            ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        case "elbo":
            set_elbo_axis(ax, PANELS["elbo"])


def _largest(curve: Curve, metric: str) -> float:
    """Return the largest value that any complete cell has; NaN where it was measured of none."""
    return float(curve.complete[metric].astype("float64").max())
