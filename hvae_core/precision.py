"""How products of a float32 model may be rounded: set while something runs, and put back behind it.

tf32: a GPU rounds the operands of matrix products and convolutions to 10 bits.
bf16: products take and give bfloat16, 8 bits, as do the activations between them (autocast). Weights, their updates,
and all that follows a network's outputs (normals, likelihood, KL) stay float32.

Products are exact unless asked otherwise: torch by itself lets cuDNN round convolutions to tf32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.spec import Precision


@contextmanager
def products(precision: Precision = "float32", device: str = "cpu") -> Iterator[None]:
    """Round float32 products inside, on a device of this type, as the precision says, and no others anywhere.

    Also a decorator. The process-wide setting is left alone: it raises where a backend's own has been used before.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    devices = {device, "cpu", *(["cuda"] if torch.cuda.is_initialized() else [])}
    try:
        with ExitStack() as stack:
            for each in sorted(devices):  # whatever autocast a caller may have put around us
                enabled = precision == "bf16" and each == device
                stack.enter_context(torch.autocast(each, torch.bfloat16, enabled=enabled))
            yield
    finally:
        for backend, setting in zip(backends, before, strict=True):
            backend.fp32_precision = setting


def unrounded(outputs: Tensor) -> Tensor:
    """Return a network's outputs in float32 where its products gave bfloat16, and as they are otherwise."""
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs


def check_precision(precision: Precision, device: str) -> None:
    """Raise SpecError for a precision that a device such as cpu or cuda:0 does not have."""
    if precision == "tf32" and not device.startswith("cuda"):
        raise SpecError("precision: 'tf32' is not allowed here; it needs a GPU")
    if precision == "bf16" and not _has_bf16(device):
        allowed = "a GPU of compute capability 8.0 or a CPU with AVX512-BF16, AMX or Arm's bf16"
        raise SpecError(f"precision: 'bf16' is not allowed here; it needs {allowed}")


def _has_bf16(device: str) -> bool:
    """Whether a device multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return device == "cpu" and any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
