"""Fixed blocks of examples, which share a draw of noise, and the choice of examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def blocks(images: Tensor, size: int, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    """Yield images (N, C, H, W) in blocks: their number from 0, and (1, size, C, H, W) as that dtype."""
    for block, part in enumerate(images.split(size)):
        yield block, part.to(dtype).unsqueeze(0)


def choose_examples(total: int, count: int) -> np.ndarray:
    """Choose images for what is too dear for all: min(count, total) indices, the same for every model, in order.

    A random choice, since data sets are often sorted by class.
    """
    shuffled = np.random.Generator(np.random.PCG64(100)).permutation(total)
    return np.sort(shuffled[:count])
