"""The plain convolutional family: latents that are maps, two 3x3 tanh layers in every network.

conv3x8x7x7        3 stochastic layers of 8 maps of 7x7, 32 filters
conv3x4x7x7f16     3 of 4 maps, 16 filters
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hvae_core.checks import require, require_whole
from hvae_core.families.maps import NUMBER, SIZES, Maps
from hvae_core.families.mlp import MAX_PARAMETERS
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.networks.base import Networks
    from hvae_core.networks.parts import Parts

FILTERS = 32
GRAMMAR = "conv<depth>x<channels>x<height>x<width>[f<filters>] such as conv3x8x7x7"
_TEXT = re.compile(rf"conv{SIZES}(?:f{NUMBER})?")


@dataclass(frozen=True)
class Conv(Maps):
    """A convolutional hierarchy of `layers` stochastic layers, all of `maps` = (channels, height, width).

    The paper says "8x7x7 latent dimension" and no more. Ours: every network is two 3x3 tanh convolutions of `filters`
    filters and a 3x3 output convolution, padding 1. In the posterior of layer 1 as many tanh layers have stride 2 as
    the image halves, and there are more than two where that takes more. The decoder is one tanh layer, and for every
    halving a doubling of the maps by repetition and another tanh layer.
    """

    filters: int = FILTERS

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("filters", self.filters, 1, 10**6)
        smallest = self._weights(1, 1, 0)
        require(smallest <= MAX_PARAMETERS, "model", self.name, "of at most 10^9 parameters")

    @classmethod
    def parse(cls, text: str) -> Conv | None:
        """Read the family's grammar; None for a text that is not its own. Raises SpecError for a model too large."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        depth, channels, height, width = map(int, found.groups()[:4])
        return cls(depth, (channels, height, width), int(found.group(5) or FILTERS))

    @property
    def name(self) -> str:
        """Canonical text of the grammar: what the default says is left out."""
        filters = "" if self.filters == FILTERS else f"f{self.filters}"
        return f"conv{self.sizes}{filters}"

    @property
    def family(self) -> str:
        """The kind of network."""
        return "conv"

    @property
    def hidden_floats(self) -> int:
        """Numbers of the filters' maps."""
        return self.filters * self.maps[1] * self.maps[2]

    @property
    def grid(self) -> str:
        """The size of its maps and its filters."""
        return f"{self.maps[1]}x{self.maps[2]} maps, filters {self.filters}"

    def parameters(self, image: ImageSpec, outputs: int) -> int:
        """Count the weights of one member."""
        return self._weights(image.shape[0], outputs, self.halvings(image))

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks of that many members; raises SpecError for images that do not fit."""
        from hvae_core.networks.conv import conv_networks

        steps = self.halvings(image)
        return conv_networks(members, self.layers, self.maps[0], self.filters, steps, image, outputs)

    def parts(self, members: int, image: ImageSpec, outputs: int) -> Parts:
        """Build the parts of that many members."""
        from hvae_core.networks.conv import ConvParts

        return ConvParts(members, self.layers, self.filters, self.halvings(image), image, outputs)

    def _weights(self, colours: int, outputs: int, steps: int) -> int:
        C, f = self.maps[0], self.filters

        def network(inputs: int, tanh: int, out: int) -> int:
            return (9 * inputs + 1) * f + (tanh - 1) * (9 * f + 1) * f + (9 * f + 1) * out

        bottom, others = network(colours, max(2, steps), 2 * C), 2 * (self.layers - 1) * network(C, 2, 2 * C)
        return bottom + others + network(C, 1 + steps, outputs)
