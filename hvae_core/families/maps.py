"""What families have in common whose latents are maps (C, H, W), the same for every stochastic layer."""

from __future__ import annotations

from dataclasses import dataclass

from hvae_core.checks import SpecError, require_whole
from hvae_core.families.base import Family, Shape
from hvae_core.image import ImageSpec

NUMBER = r"([1-9]\d{0,5})"
SIZES = rf"{NUMBER}x{NUMBER}x{NUMBER}x{NUMBER}"  # of a grammar: depth, channels, height and width


@dataclass(frozen=True)
class Maps(Family):
    """`layers` stochastic layers of `maps` = (channels, height, width), to which an image halves."""

    layers: int
    maps: tuple[int, int, int]

    def __post_init__(self) -> None:
        for name, value in (("depth", self.layers), *zip(("channels", "height", "width"), self.maps, strict=True)):
            require_whole(name, value, 1, 10**6)

    @property
    def sizes(self) -> str:
        """Depth and maps as the grammar writes them."""
        return f"{self.layers}x{'x'.join(map(str, self.maps))}"

    @property
    def latents(self) -> tuple[Shape, ...]:
        """The same maps for every stochastic layer."""
        return (self.maps,) * self.layers

    def halvings(self, image: ImageSpec) -> int:
        """Return how often an image halves to the maps; raises SpecError, naming the sides, if it does not."""
        _, *sides = image.shape
        steps = 0
        while tuple(side >> steps for side in sides) > self.maps[1:] and min(sides) >> steps > 1:
            steps += 1
        if [side << steps for side in self.maps[1:]] != sides:
            allowed = ", ".join(f"{a}x{b}" for a, b in _halved(*sides))
            raise SpecError(
                f"model: {self.name!r} has maps of {self.maps[1]}x{self.maps[2]}, to which images of "
                f"{sides[0]}x{sides[1]} do not halve; they halve to {allowed}"
            )
        return steps


def _halved(height: int, width: int) -> list[tuple[int, int]]:
    found = [(height, width)]
    while height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        found.append((height, width))
    return found
