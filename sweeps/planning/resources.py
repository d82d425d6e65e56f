"""What each trial gets of a machine, and how many run at once."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, replace

from sweeps.planning.control_groups import cpu_quotas, memory_limits
from sweeps.planning.run_settings import RunSettings

MEMORY_SHARE = 0.8  # of a device's memory that packs are planned for; the rest is for what is not counted


@dataclass(frozen=True)
class Resources:
    """What each trial asks for, how many trials run at once, and the bytes one may take (None: not known)."""

    cpus: int
    gpus: float
    slots: int
    memory: int | None = None

    @property
    def device(self) -> str:
        """Torch device inside a trial."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """Torch threads inside a trial."""
        return 1 if self.gpus else self.cpus

    def __str__(self) -> str:
        unit = f"{self.gpus:g} GPU and {self.cpus}" if self.gpus else f"{self.cpus}"
        return f"{unit} CPU core{'s' if self.cpus > 1 else ''} each, {self.slots} at once"


def usable_cpus() -> int:
    """CPU cores that this process may use: the least of its affinity and its container's quota, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, cpu_quotas())]))


def local_resources(settings: RunSettings) -> Resources:
    """Say what a trial would get on this machine, without starting Ray."""
    import torch

    there = torch.cuda.device_count()
    gpus = (1.0 if settings.gpus_per_trial is None else settings.gpus_per_trial) if there else 0.0
    cores = usable_cpus() // settings.cpus_per_trial
    slots = max(1, min(cores, int(there // gpus)) if gpus else cores)
    return Resources(settings.cpus_per_trial, gpus, slots, local_memory(gpus, slots))


def planned_resources(settings: RunSettings, workers: int | None) -> Resources:
    """Say what a trial would get of the workers that are to take up a plan, as far as they are known here.

    GPUs that are asked for are taken for granted where this machine has none; how large they are is not known, nor,
    without a number of workers, how many.
    """
    resources = local_resources(settings)
    if settings.gpus_per_trial and not resources.gpus:
        resources = replace(resources, gpus=settings.gpus_per_trial, slots=1, memory=None)
    return replace(resources, slots=workers or resources.slots)


def local_memory(gpus: float, slots: int) -> int | None:
    """Bytes that one of so many trials on this machine may take: of its share of a GPU, or of the main memory."""
    import torch

    if gpus:
        there = torch.cuda.is_available()
        return int(MEMORY_SHARE * min(1.0, gpus) * torch.cuda.get_device_properties(0).total_memory) if there else None
    limits = [*memory_limits()]
    with suppress(ValueError, OSError):  # not every system tells
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return int(MEMORY_SHARE * min(limits) / slots) if limits else None
