r"""Whether a curve falls in one step of the grid, by more than a kink between its two points could.

A kink in the gap between two neighbouring points leaves no step: the curve on the left reaches the residue inside the
gap. The same curve with a free step c >= 0 on its left branch, whose gap is chosen for each seed,

    y = b + [x <= x_i] (c + a1 d + a2 d^2),      d = x_i - x,  x_i the last point before the gap

has as many parameters as the kink. It is believed where its likelihood ratio against the kink exceeds the 99 % quantile
of chi-squared with one degree of freedom for each seed, and where the left branch, extended over the gap, still lies
above the residue. Within the gap nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import chi2

from analysis.critical.kink import Floats, Kink, Window

BELIEVED = 0.99
LEAST_STEP = 0.02  # of the fall, at the far end of the gap
LEAST_LEFT, LEAST_RIGHT = 3, 2  # points on both sides of the gap


@dataclass(frozen=True)
class Jump:
    """A step between neighbouring points: left and right (S,) are the points of each seed's, in rho.

    step: how far the left branch ends above the residue, as a share of the fall, at the far end of the gap.
    """

    left: Floats
    right: Floats
    step: float

    @property
    def middle(self) -> Floats:
        """Middle of each seed's gap (S,)."""
        middle: Floats = (self.left + self.right) / 2
        return middle

    @property
    def gap(self) -> float:
        """Mean width of the gaps."""
        return float((self.right - self.left).mean())


def find_jump(kink: Kink) -> Jump | None:
    """Look for a step that explains the seeds of a fit better than a kink does; None if there is none."""
    window = kink.window
    places = range(LEAST_LEFT - 1, len(window.rho) - LEAST_RIGHT)
    if not places:
        return None
    fits = np.array([[_segmented(window, y, i) for i in places] for y in window.by_seed])  # (S, G, 2)
    best = fits[..., 0].argmin(axis=1)
    least, steps = fits[np.arange(len(fits)), best].T
    tiny = np.finfo(float).tiny
    ratio = kink.freedom * np.log((kink.least[0] + tiny) / (least.sum() + kink.exact + tiny))
    if ratio <= chi2.ppf(BELIEVED, kink.seeds) or steps.mean() <= LEAST_STEP:
        return None
    left = best + LEAST_LEFT - 1
    return Jump(window.rho[left], window.rho[left + 1], float(steps.mean()))


def _segmented(window: Window, y: Floats, i: int) -> tuple[float, float]:
    """Fit one seed (R,) with a gap after point i; returns the sum of squares and the step at the far end of the gap."""
    x, known = window.rho**2, ~np.isnan(y)
    d = np.maximum(x[i] - x, 0)
    bend = d**2 / (2 * d[0])  # c, and the slopes at both ends of the branch, are all at least 0
    left = (np.arange(len(x)) <= i).astype(float)
    columns = np.stack([np.ones_like(x), -np.ones_like(x), left, d - bend, bend], axis=1)
    root = np.sqrt(window.weights[known])
    found, norm = nnls(columns[known] * root[:, None], y[known] * root)
    beyond = x[i] - x[i + 1]
    step = found[2] + found[3] * beyond + (found[4] - found[3]) * beyond**2 / (2 * d[0])
    return float(norm**2), float(step)
