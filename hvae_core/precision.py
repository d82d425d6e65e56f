"""How a GPU may round the operands of float32 products: set while something runs, and put back behind it.

Matrix products are exact unless asked otherwise. Convolutions are not: torch lets cuDNN round theirs to tf32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from hvae_core.spec import Precision


@contextmanager
def products(precision: Precision = "float32") -> Iterator[None]:
    """Round operands of float32 matrix products and convolutions to tf32 inside if the precision says so, else not.

    Also a decorator. The process-wide setting is left alone: it raises where a backend's own has been used before.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, setting in zip(backends, before, strict=True):
            backend.fp32_precision = setting
