"""What an image is, apart from its content: its shape and how many levels a pixel has."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hvae_core.checks import require


@dataclass(frozen=True)
class ImageSpec:
    """Images (C, H, W) whose values are 0..levels - 1: binary ones have 2 levels, grey and colour ones 256."""

    shape: tuple[int, int, int]
    levels: int = 2

    def __post_init__(self) -> None:
        whole = all(type(side) is int and side >= 1 for side in self.shape)
        require(whole, "shape", self.shape, "(channels, height, width), each at least 1")
        require(self.levels in (2, 256), "levels", self.levels, "2 or 256")

    @property
    def pixels(self) -> int:
        """Number of values of an image, C H W."""
        return math.prod(self.shape)

    def bits_per_dim(self, nats: float) -> float:
        """Return a log-likelihood of images, in nats, as bits per value: -nats / (C H W log 2)."""
        return -nats / (self.pixels * math.log(2))

    @property
    def text(self) -> str:
        """Its shape and levels, such as 1x28x28/2; `read` reads it back."""
        return f"{'x'.join(map(str, self.shape))}/{self.levels}"

    @classmethod
    def read(cls, text: str) -> ImageSpec:
        """Read `text` back; raises ValueError."""
        shape, _, levels = text.partition("/")
        channels, height, width = map(int, shape.split("x"))
        return cls((channels, height, width), int(levels))
