"""The MLP family: two tanh layers in every network, latents that are rows of units.

mlp4x40            4 stochastic layers of 40 units, two tanh layers of 200 before each
mlp4x16h64         4 of 16, hidden width 64
mlp64-32-16-8      tapered, bottom to top; hidden widths 512-256-128-64
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hvae_core.checks import SpecError, require, require_whole
from hvae_core.families.base import Family, RowFloats, Shape
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.networks.base import Networks
    from hvae_core.networks.parts import Parts

MAX_PARAMETERS = 10**9
GRAMMAR = "mlp<depth>x<width>[h<hidden>] such as mlp4x40, or mlp<w1>-<w2>-... such as mlp64-32-16-8"

_N = r"([1-9]\d{0,8})"
_UNIFORM = re.compile(rf"mlp{_N}x{_N}(?:h{_N})?")
_TAPERED = re.compile(r"mlp([1-9]\d{0,8}(?:-[1-9]\d{0,8})+)")


@dataclass(frozen=True)
class MLP(Family):
    """An MLP hierarchy.

    widths[i] is the number of units of stochastic layer i + 1 (layer 1 is next to the data); hidden[i] is the width of
    the two tanh layers in the network between layer i and layer i + 1, the same upwards and downwards.

    The paper gives two layers of 200 for uniform models, and 512-256-128-64 for latents 64-32-16-8: eight times
    the latent width, which is what the tapered form of the grammar always takes. That a hidden width belongs to
    the gap below its latent layer, in both directions, is our reading.
    """

    widths: tuple[int, ...]
    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.widths) >= 1, "latents", self.widths, "at least one stochastic layer")
        require(len(self.hidden) == len(self.widths), "hidden", self.hidden, "one width per stochastic layer")
        for width in self.widths + self.hidden:
            require_whole("width", width, 1, MAX_PARAMETERS)
        uniform = len(set(self.widths)) == len(set(self.hidden)) == 1
        tapered = self.hidden == tuple(8 * width for width in self.widths)
        require(uniform or tapered, "hidden", self.hidden, "of one width, or eight times the latents")
        smallest = self.parameters(ImageSpec((1, 1, 1)), 1)
        require(smallest <= MAX_PARAMETERS, "model", self.name, "of at most 10^9 parameters")

    @classmethod
    def parse(cls, text: str) -> MLP | None:
        """Read the family's grammar; None for a text that is not its own. Raises SpecError for a model too large."""
        uniform, tapered = _UNIFORM.fullmatch(text), _TAPERED.fullmatch(text)
        if uniform:
            depth, width, hidden = (int(group) if group else 200 for group in uniform.groups())
            if depth * width > MAX_PARAMETERS:
                raise SpecError(f"model: {text!r} is not allowed; it must be of at most 10^9 parameters")
            return cls((width,) * depth, (hidden,) * depth)
        if tapered:
            widths = tuple(int(width) for width in tapered.group(1).split("-"))
            return cls(widths, tuple(8 * width for width in widths))
        return None

    @cached_property
    def name(self) -> str:
        """Canonical text of the grammar: what the default says is left out."""
        width, hidden = self.widths[0], self.hidden[0]
        if set(self.widths) == {width} and set(self.hidden) == {hidden}:
            return f"mlp{self.depth}x{width}" + ("" if hidden == 200 else f"h{hidden}")
        return "mlp" + "-".join(map(str, self.widths))

    @property
    def family(self) -> str:
        """The kind of network."""
        return "mlp"

    @property
    def content(self) -> str:
        """Its widths, in the words of the first checkpoints that were written."""
        return f"ModelSpec(latents={self.widths}, hidden={self.hidden})"

    @property
    def latents(self) -> tuple[Shape, ...]:
        """A row of units for each stochastic layer."""
        return tuple((width,) for width in self.widths)

    @property
    def grid(self) -> str | None:
        """Its hidden width, where all layers are alike."""
        alike = len(set(self.widths)) == len(set(self.hidden)) == 1
        return f"hidden {self.hidden[0]}" if alike else None

    def parameters(self, image: ImageSpec, outputs: int) -> int:
        """Count the weights of one member."""

        def network(inputs: int, hidden: int, out: int) -> int:
            return (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * out

        layers = list(zip((image.pixels, *self.widths), self.hidden, self.widths, strict=False))
        upwards = sum(network(lower, hidden, 2 * upper) for lower, hidden, upper in layers)
        downwards = sum(network(upper, hidden, 2 * lower) for lower, hidden, upper in layers[1:])
        return upwards + downwards + network(self.widths[0], self.hidden[0], outputs * math.prod(image.shape[1:]))

    def row_floats(self, image: ImageSpec, outputs: int) -> RowFloats:
        """Two hidden layers and about five tensors of a normal's width; of the image's, two."""
        layers = list(zip((image.pixels, *self.widths), self.hidden, self.widths, strict=False))
        return RowFloats(
            2 * self.hidden[0] + 2 * outputs * math.prod(image.shape[1:]),
            tuple(2 * hidden + 5 * upper for _, hidden, upper in layers),
            tuple(2 * hidden + 5 * lower for lower, hidden, _ in layers[1:]),
        )

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks of that many members."""
        from hvae_core.networks.mlp import mlp_networks

        return mlp_networks(members, self.widths, self.hidden, image, outputs)

    def parts(self, members: int, image: ImageSpec, outputs: int) -> Parts:
        """Build the parts of that many members."""
        from hvae_core.networks.mlp import MLPParts

        return MLPParts(members, self.hidden, image, outputs)
