"""What a family of networks must offer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.networks.base import Networks
    from hvae_core.networks.parts import Parts

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class RowFloats:
    """Numbers that training keeps for one row (an example, or a copy of one) of each network, of one member.

    posteriors has one entry for each stochastic layer, priors one fewer, both from the data upwards.
    """

    decoder: int
    posteriors: tuple[int, ...]
    priors: tuple[int, ...]


class Family(ABC):
    """One architecture of a hierarchical VAE: a frozen, hashable value that is built without torch.

    A subclass says its name (what `--model` reads), the shapes of its latents and the networks; the rest follows.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Canonical text of the model, as in `--model` and in a cell's configuration."""

    @property
    @abstractmethod
    def latents(self) -> tuple[Shape, ...]:
        """Shape of each stochastic layer, layer 1 (next to the data) first: (40,) or (C, H, W)."""

    @abstractmethod
    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks of that many members.

        The decoder gives `outputs` maps of the image's size (1 for binary grey pixels: logits).
        """

    def parts(self, members: int, image: ImageSpec, outputs: int) -> Parts | None:
        """Build what systems other than hvae need of a family; None where it has no others."""
        return None

    def why_not(self, system: str) -> str:
        """Say why a model cannot be trained as a system of that name; nothing where it can."""
        if system == "hvae":
            return ""
        if type(self).parts is Family.parts:
            return f"system: {self.name!r} can be trained as hvae alone, not as {system!r}"
        if self.skip:
            return f"system: {self.name!r} has skips, which are hvae's; use it without, or lvae+skip"
        if system == "vampprior" and self.depth > 2:
            return f"system: 'vampprior' has one or two layers, not the {self.depth} of {self.name!r}"
        if system == "biva" and min((shape[0] for shape in self.latents[:-1]), default=2) < 2:
            return f"system: 'biva' needs two units or maps in every layer below the top, not those of {self.name!r}"
        return ""

    @property
    def family(self) -> str:
        """The kind of network, as in the column `family`."""
        return "own"

    @property
    def code(self) -> str | None:
        """Version or checksum of code that is not this package's; None for the families that come with it."""
        return None

    @property
    def content(self) -> str:
        """Everything that makes its networks, in words: a checkpoint of another is not continued."""
        return repr(self)

    @property
    def skip(self) -> bool:
        """Whether the generator's networks read all layers above, and not the next one alone."""
        return False

    def parents(self, layer: int) -> Shape:
        """Shape of what the generator's network of `layer` reads, 0 being the decoder's."""
        above = self.latents[layer:] if self.skip else self.latents[layer : layer + 1]
        return (sum(shape[0] for shape in above), *above[0][1:])

    @property
    def hidden_floats(self) -> int:
        """Numbers of a row's hidden tensor in a network between layers, where it is large: maps; else 0."""
        return 0

    @property
    def grid(self) -> str | None:
        """What it shares with models of other depths and widths, for maps over both; ends in its hidden width.

        None where its stochastic layers are not all alike.
        """
        return None

    @property
    def decodes(self) -> bool:
        """Whether it is meant to explain pixels, so that it must beat independent ones."""
        return True

    @cached_property
    def units(self) -> tuple[int, ...]:
        """Number of units of each stochastic layer, layer 1 first."""
        return tuple(map(math.prod, self.latents))

    @cached_property
    def depth(self) -> int:
        """Number L of stochastic layers."""
        return len(self.latents)

    @cached_property
    def width(self) -> int:
        """Units of the widest stochastic layer."""
        return max(self.units)

    def parameters(self, image: ImageSpec, outputs: int) -> int:
        """Count the weights of one member."""
        from hvae_core.families.sizes import parameters

        return parameters(self, image, outputs)

    def row_floats(self, image: ImageSpec, outputs: int) -> RowFloats:
        """Count what training keeps for a row of each network, for the memory estimate."""
        from hvae_core.families.sizes import row_floats

        return row_floats(self, image, outputs)
