"""Random streams keyed by (seed, purpose), so that no draw depends on another purpose's draws.

All members of one seed share its streams: every rho sees the same initial weights, minibatches and noise (common
random numbers). Nothing in this package reads the global generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def stream(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> Generator:
    """Return the generator of one purpose, at its beginning.

    The key is hashed, so that neighbouring seeds and purposes give unrelated streams.
    """
    key = "/".join(map(str, (seed, *purpose)))
    digest = hashlib.sha256(key.encode()).digest()
    return Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class SeedStreams:
    """One stream per distinct seed of a pack, and the expansion of a draw to the pack's members."""

    def __init__(self, seeds: Sequence[int], *purpose: str | int, device: torch.device | str = "cpu") -> None:
        self.seeds = sorted(set(seeds))
        self.generators = [stream(seed, *purpose, device=device) for seed in self.seeds]
        order = torch.tensor([self.seeds.index(seed) for seed in seeds], device=device)
        self._member = order if len(self.seeds) > 1 else None

    def expand(self, drawn: Sequence[Tensor]) -> Tensor:
        """Give each member its seed's tensor: (M, ...), or (1, ...) to broadcast where all share one seed."""
        stacked = torch.stack(list(drawn)) if len(drawn) > 1 else drawn[0].unsqueeze(0)
        return stacked if self._member is None else stacked.index_select(0, self._member)

    def normal(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Draw standard normals of that shape once per seed; returns (M or 1, *shape)."""
        return self.expand([torch.randn(shape, generator=g, dtype=dtype, device=g.device) for g in self.generators])

    def uniform(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Draw uniforms in [0, 1) of that shape once per seed; returns (M or 1, *shape)."""
        return self.expand([torch.rand(shape, generator=g, dtype=dtype, device=g.device) for g in self.generators])

    def integers(self, high: int, *shape: int) -> Tensor:
        """Draw integers in [0, high) of that shape once per seed; returns (M or 1, *shape)."""
        return self.expand([torch.randint(high, shape, generator=g, device=g.device) for g in self.generators])

    def state(self) -> list[Tensor]:
        """Return the generators' states, one uint8 tensor per distinct seed."""
        return [generator.get_state() for generator in self.generators]

    def restore(self, state: Sequence[Tensor]) -> None:
        """Continue where `state` was taken."""
        for generator, saved in zip(self.generators, state, strict=True):
            generator.set_state(saved)
