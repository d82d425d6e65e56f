"""What systems other than the serial hierarchy are built from: a family's networks cut in two, for M members.

A trunk makes features (M, N, F, *) of what it reads, a head a Normal of features. Networks read latents and features
side by side along axis 2: units of a row, or channels of maps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from hvae_core.networks.normal import Normal


class Parts(ABC):
    """A family's trunks, heads and decoder. features[i]: F of the trunk of layer i + 1. one_bias as in `Networks`."""

    features: tuple[int, ...]
    one_bias: bool = False

    @abstractmethod
    def bottom(self) -> nn.Module:
        """Image (M or 1, N, C, H, W) -> features of layer 1."""

    @abstractmethod
    def trunk(self, inputs: int, layer: int) -> nn.Module:
        """(M or 1, N, inputs, *) -> features of that layer, from 0."""

    @abstractmethod
    def head(self, layer: int, units: int) -> nn.Module:
        """Features of that layer -> Normal on (M, N, units, *)."""

    @abstractmethod
    def decoder(self, inputs: int) -> tuple[nn.Module, Callable[[Tensor], None]]:
        """Return what maps (M, N, inputs, *) to the likelihood's outputs, and what starts its bias."""

    def conditional(self, inputs: int, layer: int, units: int) -> nn.Module:
        """(M or 1, N, inputs, *) -> Normal on (M, N, units, *): a trunk and a head."""
        return Conditional(self.trunk(inputs, layer), self.head(layer, units))


class Conditional(nn.Module):
    """A trunk and a head, one behind the other."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Tensor) -> Normal:
        """Return the Normal."""
        found: Normal = self.head(self.trunk(x))
        return found


class Rung(nn.Module):
    """A trunk and a head side by side: what it reads -> (features, Normal of them)."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Tensor) -> tuple[Tensor, Normal]:
        """Return features and Normal."""
        features: Tensor = self.trunk(x)
        return features, self.head(features)
