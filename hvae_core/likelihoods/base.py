"""What a likelihood must offer. It owns no network: a family's decoder makes its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Likelihood(ABC):
    """p(x | z_1) as a distribution over images, given the decoder's outputs.

    outputs: maps of the image's size that the decoder gives.
    """

    outputs: int

    @abstractmethod
    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | z) for images x (M or 1, N, C, H, W) and out (M, N, outputs, H, W); returns (M, N) in nats."""

    @abstractmethod
    def mean(self, out: Tensor) -> Tensor:
        """E[x | z] (M, N, C, H, W), in the values of x."""

    @abstractmethod
    def sample(self, out: Tensor, uniform: Tensor) -> Tensor:
        """Draw x (M, N, C, H, W) with the help of numbers in [0, 1), one for each output."""

    @abstractmethod
    def initial_bias(self, mean: Tensor, std: Tensor) -> Tensor:
        """Return outputs (outputs, H, W) that give images of this mean and standard deviation.

        Both (C, H, W), in units of the largest value of a pixel.
        """
