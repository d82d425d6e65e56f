"""From the settings of a command line or a configuration file to a request: what to train, and how to run it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hvae_core.data import load_dataset
from hvae_core.spec import ModelSpec, ObjectiveSpec, SpecError, TrainSpec
from sweeps import options
from sweeps.grid import DataSource, SweepSpec
from sweeps.ledger import Ledger


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


def ledger_at(name: str, text: str) -> Ledger:
    """Open a results directory by an absolute path; raises SpecError, naming the argument, if it cannot be one."""
    path = Path(text).expanduser().absolute()
    if not text:
        raise SpecError(f"{name}: an empty path is not allowed; it must be a directory")
    for part in (path, *path.parents):
        if (part.exists() and not part.is_dir()) or (part.is_symlink() and not part.exists()):
            raise SpecError(f"{name}: {text!r} is not allowed: {part} is no directory")
    return Ledger(path)


def sweep_spec(given: Mapping[str, Any]) -> SweepSpec:
    """Check a request, the cheap parts first, and resolve its data; raises SpecError or DataError."""
    models = tuple(ModelSpec.parse(text) for text in options.items("model", given["model"]))
    options.unique("model", [model.name for model in models])
    rhos, seeds = options.floats("rho", given["rho"]), options.seeds(given["seeds"])
    base = ObjectiveSpec(ou_samples=given["ou_samples"], smoothing=given["smoothing"])
    for value in rhos:
        replace(base, rho=value)
    train = TrainSpec(given["steps"], given["batch_size"], given["lr"], given["precision"])
    if given["data_dir"] == "":
        raise SpecError("data-dir: an empty path is not allowed; it must be a directory")
    directory = Path(given["data_dir"]) if given["data_dir"] else None
    sources = [
        DataSource.of(name, load_dataset(name, binarise=given["binarise"], data_dir=directory))
        for name in options.items("datasets", given["datasets"])
    ]
    return SweepSpec(models, tuple(sources), rhos, seeds, base, train)


def run_settings(given: Mapping[str, Any]) -> RunSettings:
    """Check how a request is to be run; raises SpecError."""
    for name, least in (("eval_every", 0), ("ll_examples", 0), ("cpus_per_trial", 1), ("max_failures", 0)):
        if given[name] < least:
            raise SpecError(f"{name.replace('_', '-')}: {given[name]} is not allowed; it must be at least {least}")
    size = None
    if given["pack"] != "auto":
        size = int(given["pack"]) if given["pack"].isdecimal() else 0
        if size < 1:
            raise SpecError(f"pack: {given['pack']!r} is not allowed; it must be auto or a number from 1")
    gpus = given["gpus_per_trial"]
    if gpus is not None and not 0 <= gpus <= 1024:
        raise SpecError(f"gpus-per-trial: {gpus:g} is not allowed; it must be between 0 and 1024")
    return RunSettings(
        pack_size=size,
        gpus_per_trial=gpus,
        log=tuple(dict.fromkeys(given["log"])),
        **{name: given[name] for name in ("cpus_per_trial", "address", "max_failures", "fail_fast", "retry_failed")},
    )


def resolved(given: Mapping[str, Any], spec: SweepSpec) -> dict[str, Any]:
    """Return the settings with what they turned out to be, in the form that --config reads."""
    seeds = [f"{spec.seeds[0]}:{spec.seeds[0]}"] if len(spec.seeds) == 1 else [str(seed) for seed in spec.seeds]
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in given.items()},
        "model": [model.name for model in spec.models],
        "datasets": [source.reference for source in spec.data],
        "rho": list(spec.rhos),
        "seeds": seeds,
    }


@dataclass(frozen=True)
class Resources:
    """What each trial asks for, and how many trials run at once."""

    cpus: int
    gpus: float
    slots: int

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
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_resources(settings: RunSettings) -> Resources:
    """Say what a trial would get on this machine, without starting Ray."""
    import torch

    there = torch.cuda.device_count()
    gpus = (1.0 if settings.gpus_per_trial is None else settings.gpus_per_trial) if there else 0.0
    slots = usable_cpus() // settings.cpus_per_trial
    return Resources(settings.cpus_per_trial, gpus, max(1, min(slots, int(there // gpus)) if gpus else slots))
