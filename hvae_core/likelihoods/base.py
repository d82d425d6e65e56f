"""What a likelihood must offer. It owns no network: a family's decoder makes its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Likelihood(ABC):
    """p(x | z_1) as a distribution over images, given the decoder's outputs.

    outputs: numbers that the decoder gives for each value of an image. unit: what log-likelihoods are reported in.
    """

    outputs: ClassVar[int]
    unit: ClassVar[str] = "nats"

    @abstractmethod
    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | z) for images x (M or 1, N, C, H, W) and out (M, N, outputs C, H, W); returns (M, N) in nats."""

    @abstractmethod
    def mean(self, out: Tensor) -> Tensor:
        """E[x | z] (M, N, C, H, W), in the values of x."""

    @abstractmethod
    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Draw x (M, N, C, H, W) with the help of numbers in [0, 1), one for each output."""

    @abstractmethod
    def initial_bias(self, mean: Tensor) -> Tensor:
        """Return outputs (outputs C, H, W) that give a mean image (C, H, W), 1 being the largest value of a pixel."""
