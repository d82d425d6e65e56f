r"""The linear family: a two-layer model whose critical rho and top KL are known, to check the whole tool against.

linear0.6              one mode with lambda / s^2 = 0.6
linear0.85-0.8-0.75    a cascade of three modes

    q(z_1|x) has no weights: z_1 has the variance lambda_d for each of the first D pixels, if they are fair coins
    q(z_2|z_1) = N(V z_1, t^2),  p(z_1|z_2) = N(W z_2, s^2) with s = 1,  p(z_2) = N(0, I)

W, V and t are trained like any network's weights. Only the variance of z_1 enters the expected objective, so that the
closed form of Gaussian data holds for coins. The decoder is constant: the model explains no pixel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hvae_core.checks import SpecError, number, require
from hvae_core.families.base import Family, Shape
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.networks.base import Networks

GRAMMAR = "linear<r>[-<r>...] such as linear0.6, the solvable control of `hvae-sweep calibrate`"
MOST_MODES = 64
_RATIO = r"(?:0?\.\d+|1(?:\.0*)?|0)"
_MODEL = re.compile(rf"linear({_RATIO}(?:-{_RATIO})*)")


@dataclass(frozen=True)
class Linear(Family):
    """The solvable model; ratios are lambda / s^2 of its modes."""

    ratios: tuple[float, ...]

    def __post_init__(self) -> None:
        require(1 <= len(self.ratios) <= MOST_MODES, "model", self.name, f"of 1 to {MOST_MODES} modes")
        require(all(0 < ratio < 1 for ratio in self.ratios), "model", self.name, "of ratios between 0 and 1")

    @classmethod
    def parse(cls, text: str) -> Linear | None:
        """Read the family's grammar; None for a text that is not its own. Raises SpecError for a ratio out of range."""
        found = _MODEL.fullmatch(text)
        return cls(tuple(number(float(ratio)) for ratio in found.group(1).split("-"))) if found else None

    @property
    def name(self) -> str:
        """Canonical text of the grammar."""
        return "linear" + "-".join(f"{ratio:.12g}" for ratio in self.ratios)

    @property
    def family(self) -> str:
        """The kind of network."""
        return "linear"

    @property
    def decodes(self) -> bool:
        """Whether it is meant to explain pixels: no."""
        return False

    @property
    def latents(self) -> tuple[Shape, ...]:
        """One unit for each mode, in both layers."""
        return ((len(self.ratios),),) * 2

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks of that many members; raises SpecError for an image of fewer pixels than modes."""
        from hvae_core.networks.linear import linear_networks

        if image.pixels < len(self.ratios):
            raise SpecError(f"model: {self.name!r} is not allowed here; it needs images of {len(self.ratios)} pixels")
        return linear_networks(members, self.ratios, image, outputs)
