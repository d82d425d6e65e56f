"""How a sweep is run, as far as it is no pack's matter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunSettings:
    """How a sweep is run; nothing here can change a cell's numbers."""

    pack_size: int | None = None
    gpus_per_trial: float | None = None
    cpus_per_trial: int = 1
    address: str = "local"
    max_failures: int = 2
    fail_fast: bool = False
    retry_failed: bool = False
    log: tuple[str, ...] = ()
