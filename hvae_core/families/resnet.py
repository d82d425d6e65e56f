"""The residual family: latents that are maps, residual blocks in every network.

resnet3x8x14x14          3 stochastic layers of 8 maps of 14x14, 2 blocks of 64 filters in every network
resnet4x8x14x14b5f100    4 of 8 maps, 5 blocks of 100 filters
resnet4x8x14x14skip      with stochastic skip connections: p(z_i | z_{i+1}, ..., z_L)
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

BLOCKS, FILTERS = 2, 64
GRAMMAR = "resnet<depth>x<channels>x<height>x<width>[b<blocks>][f<filters>][skip] such as resnet3x8x14x14"
_TEXT = re.compile(rf"resnet{SIZES}(?:b(\d{{1,6}}))?(?:f{NUMBER})?(skip)?")


@dataclass(frozen=True)
class ResNet(Maps):
    """A residual hierarchy of `layers` stochastic layers, all of `maps` = (channels, height, width).

    The paper gives depths, blocks and maps and no more. Ours: pre-activation blocks of two 3x3 convolutions of
    `filters` filters behind ELUs, `blocks` of them in every network, between a 3x3 convolution in and one out; no
    normalisation. The image is halved by convolutions of stride 2 before the blocks, and doubled by repetition behind
    them.

    Whether to skip is a part of the name: the priors and the decoder then read all layers above as channels.
    """

    blocks: int = BLOCKS
    filters: int = FILTERS
    skips: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("blocks", self.blocks, 1, 1000)
        require_whole("filters", self.filters, 1, 10**6)
        require(self.layers > 1 or not self.skips, "model", self.name, "of two layers at least to skip one")
        convolutions = 2 * self.layers * (2 * self.blocks + 1)
        require(convolutions * 9 * self.filters**2 <= MAX_PARAMETERS, "model", self.name, "of at most 10^9 parameters")

    @classmethod
    def parse(cls, text: str) -> ResNet | None:
        """Read the family's grammar; None for a text that is not its own. Raises SpecError for bad sizes."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        depth, channels, height, width = map(int, found.groups()[:4])
        blocks, filters = int(found.group(5) or BLOCKS), int(found.group(6) or FILTERS)
        return cls(depth, (channels, height, width), blocks, filters, found.group(7) is not None)

    @property
    def name(self) -> str:
        """Canonical text of the grammar: what the default says is left out."""
        blocks = "" if self.blocks == BLOCKS else f"b{self.blocks}"
        filters = "" if self.filters == FILTERS else f"f{self.filters}"
        return f"resnet{self.sizes}{blocks}{filters}{'skip' * self.skips}"

    @property
    def family(self) -> str:
        """The kind of network."""
        return "resnet"

    @property
    def skip(self) -> bool:
        """Whether it has stochastic skip connections."""
        return self.skips

    @property
    def hidden_floats(self) -> int:
        """Numbers of the filters' maps."""
        return self.filters * self.maps[1] * self.maps[2]

    @property
    def grid(self) -> str:
        """The size of its maps, its blocks and filters."""
        skips = ", with skips" if self.skips else ""
        blocks = f"{self.blocks} block{'s' if self.blocks > 1 else ''}"
        return f"{self.maps[1]}x{self.maps[2]} maps, {blocks}{skips}, filters {self.filters}"

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks of that many members; raises SpecError for images that do not halve to the maps."""
        from hvae_core.networks.resnet import resnet_networks

        steps = self.halvings(image)
        sizes = (self.layers, self.maps[0], self.filters, self.blocks, steps)
        return resnet_networks(members, *sizes, image, outputs, self.skips)

    def parts(self, members: int, image: ImageSpec, outputs: int) -> Parts:
        """Build the parts of that many members."""
        from hvae_core.networks.resnet import ResParts

        sizes = (self.layers, self.filters, self.blocks, self.halvings(image))
        return ResParts(members, *sizes, image, outputs)
