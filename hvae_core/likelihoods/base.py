"""What a likelihood must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Likelihood(nn.Module, ABC):
    """p(x | z_1): what the generator's last step must offer."""

    @abstractmethod
    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) for x (M or 1, N, P) and z (M, N, D); returns (M, N) in nats."""

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """E[x | z] (M, N, P)."""
