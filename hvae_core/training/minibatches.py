"""Minibatches of the training images, drawn with replacement on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hvae_core.data import Dataset
from hvae_core.streams import SeedStreams


class Minibatches:
    """Random minibatches of the training images, one stream per distinct seed; the images stay on the device."""

    def __init__(self, data: Dataset, seeds: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.images = torch.from_numpy(data.train).to(device)
        self.dynamic = data.binarise == "dynamic"
        self.dtype = dtype
        self.choice = SeedStreams(seeds, "minibatch", device=device)
        self.pixels = SeedStreams(seeds, "binarise", device=device)

    def draw(self, size: int) -> Tensor:
        """Return images (M or 1, size, C, H, W); dynamically binarised ones get a fresh Bernoulli draw each time."""
        x = self.images[self.choice.integers(len(self.images), size)]
        if not self.dynamic:
            return x.to(self.dtype)
        uniform = self.pixels.uniform(size, *self.images.shape[1:], dtype=self.dtype)
        return (uniform * 255 < x).to(self.dtype)
