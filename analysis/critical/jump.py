r"""Whether a curve falls in one step of the grid, more steeply than a kink between the two points could.

A kink in the gap between two neighbouring points leaves no step: the curve on the left reaches the residue inside the
gap. The same curve with a free step c >= 0 on its left branch, whose gap is chosen for each seed,

    y = b + [x <= x_i] (c + a1 d + a2 d^2),      d = x_i - x,  x_i the last point before the gap

has as many parameters as the kink. It is believed where its likelihood ratio against the kink exceeds the 99 % quantile
of chi-squared with one degree of freedom for each seed; residuals below FORM count as none, as neither form is exact.
Within the gap nothing is known: an onset with an infinite slope, such as a square root's, is told from a kink as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import chi2

from analysis.critical.kink import Floats, Kink, Window

BELIEVED = 0.99
FORM = 0.0075  # weighted residual that both forms may leave of the solvable model
LEAST_LEFT, LEAST_RIGHT = 3, 2  # points on both sides of the gap


@dataclass(frozen=True)
class Jump:
    """A step between neighbouring points: left and right (S,) are the points of each seed's, in rho.

    step: how far the KL falls from one to the other, as a share of the whole fall.
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
    squares = np.array([[_squares(window, y, i) for i in places] for y in window.by_seed])  # (S, G)
    form = FORM**2 * (~np.isnan(window.by_seed)).sum()
    ratio = kink.freedom * np.log((kink.least[0] + form) / (squares.min(axis=1).sum() + form))
    if ratio <= chi2.ppf(BELIEVED, kink.seeds):
        return None
    left = squares.argmin(axis=1) + LEAST_LEFT - 1
    step = float((window.height[left] - window.height[left + 1]).mean())
    return Jump(window.rho[left], window.rho[left + 1], step)


def _squares(window: Window, y: Floats, i: int) -> float:
    """Return the least sum of squares of one seed (R,) with the gap after point i."""
    x, known = window.rho**2, ~np.isnan(y)
    d = np.maximum(x[i] - x, 0)
    bend = d**2 / (2 * d[0])  # c, and the slopes at both ends of the branch, are all at least 0
    left = (np.arange(len(x)) <= i).astype(float)
    columns = np.stack([np.ones_like(x), -np.ones_like(x), left, d - bend, bend], axis=1)
    root = np.sqrt(window.weights[known])
    _, norm = nnls(columns[known] * root[:, None], y[known] * root)
    return float(norm**2)
