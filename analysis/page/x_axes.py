"""What a chart over rho can be drawn over: rho as it is, rho stretched towards 1 where the grid is, or c."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from analysis.axes.rho_axis import is_crowded, stretch, ticks_of
from hvae_core.spec import retained_variance

RHO = "OU correlation ρ"
_INCHES = 3.5  # of a narrow page, for which labels are chosen


@dataclass
class XAxis:
    """A horizontal axis: its name, the button that chooses it, its title, the x values of every trace, its ticks."""

    name: str
    button: str
    title: str
    x: list[list[float]]
    ticks: dict[str, Any] = field(default_factory=lambda: {"tickmode": "auto"})

    @property
    def chosen(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)


def x_axes(grid: Sequence[float], rhos: Sequence[Sequence[float]], ou_samples: Sequence[float]) -> list[XAxis]:
    """Return the axes of a grid for traces with these rho values and K; the first is the one to begin with."""
    plain = XAxis("rho", "over ρ", RHO, [list(trace) for trace in rhos])
    places = [[float(stretch(rho)) for rho in trace] for trace in rhos]
    values = ticks_of(grid, _INCHES, stretched=True) if grid else []
    ticks = {"tickmode": "array", "tickvals": [float(stretch(value)) for value in values]}
    ticks["ticktext"] = [f"{value:.4g}" for value in values]
    stretched = XAxis("stretched", "over ρ, stretched towards 1", f"{RHO} (stretched towards 1)", places, ticks)
    smoothed = [[retained_variance(rho, K) for rho in trace] for trace, K in zip(rhos, ou_samples, strict=True)]
    c = XAxis("c", "over c", "retained variance c = ρ² (1 − 1/K) + 1/K", smoothed)
    return [stretched, plain, c] if is_crowded(grid) else [plain, stretched, c]
