"""From the settings of a command line or a configuration file to a request: what to train, and how to run it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hvae_core.checks import SpecError
from hvae_core.data import NULL, DataError, is_null, load_dataset, own_file
from hvae_core.families.registry import check_model, parse_model
from hvae_core.spec import ObjectiveSpec, TrainSpec
from sweeps.grid.declared import names
from sweeps.grid.methods import objectives_of, read_anneal, with_beta
from sweeps.grid.sweep_spec import DataSource, SweepSpec, rho_axis
from sweeps.ledger.locate import ledger_at
from sweeps.options import values
from sweeps.planning.moved_data import load_moved
from sweeps.planning.run_settings import RunSettings

MAPS = "7x7"  # of depth-width grids of convolutional families


def sweep_spec(given: Mapping[str, Any], models: Sequence[str], objectives: Sequence[ObjectiveSpec]) -> SweepSpec:
    """Check a request of these models and objectives, and resolve its data; raises SpecError or DataError."""
    parsed = tuple(parse_model(text) for text in models)
    values.unique("model", [model.name for model in parsed])
    seeds = values.seeds(given["seeds"])
    trains = training_runs(given)
    if given["data_dir"] == "":
        raise SpecError("data-dir: an empty path is not allowed; it must be a directory")
    directory = Path(given["data_dir"]) if given["data_dir"] else None
    sources = [_source(name, given, directory) for name in _datasets(given)]
    for model, source, train in itertools.product(parsed, sources, trains[:1]):
        check_model(model, source.image, train.mixture)
    return SweepSpec(parsed, tuple(sources), tuple(objectives), seeds, trains)


def _datasets(given: Mapping[str, Any]) -> list[str]:
    """Return the data sets asked for; with --null, the null of each of them too."""
    asked = values.items("datasets", given["datasets"])
    nulls = [f"{NULL}{name}" for name in asked if not is_null(name)] if given.get("null") else []
    return [*asked, *(name for name in nulls if name not in asked)]


def _source(name: str, given: Mapping[str, Any], directory: Path | None) -> DataSource:
    """Load a data set and describe it; an npz that a results directory knows may have moved with it."""
    try:
        return DataSource.of(name, load_dataset(name, binarise=given["binarise"], data_dir=directory))
    except DataError:
        own = own_file(name)
        if own is None or own.is_file() or not given["out"]:
            raise
        ledger = ledger_at("out", given["out"])
        recorded = [data for request in ledger.requests() for data in request["request"]["data"]]
        for data in recorded:
            if data.get("asked") == name or data.get("reference") == name:
                moved = load_moved(name, given["binarise"], str(data.get("checksum")), ledger.root, directory)
                if moved is not None:
                    return DataSource.of(name, moved)
        raise


def training_runs(given: Mapping[str, Any]) -> tuple[TrainSpec, ...]:
    """Return a training run for each number of steps, batch size and learning rate; raises SpecError."""
    axes = values.whole_numbers("steps", given["steps"]), values.whole_numbers("batch-size", given["batch_size"])
    grid = itertools.product(*axes, values.floats("lr", given["lr"]))
    mixture = 1 if given["mixture"] is None else given["mixture"]
    return tuple(TrainSpec(steps, batch, lr, given["precision"], mixture) for steps, batch, lr in grid)


def _anneal(given: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read --kl-anneal, which in percent is one of the run's steps; raises SpecError."""
    steps = values.whole_numbers("steps", given["steps"])
    if given["kl_anneal"] and "%" in given["kl_anneal"] and len(steps) > 1:
        raise SpecError(f"kl-anneal: {given['kl_anneal']!r} is not allowed with several --steps; give it in steps")
    return read_anneal(given["kl_anneal"], steps[0])


def rho_objectives(given: Mapping[str, Any]) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives along the rho axis, with whatever is added to each of them; raises SpecError."""
    rhos = values.floats("rho", given["rho"])
    axes = ("rho", "ou_samples", "beta_top")
    settings = {name: given[name] for name in names("objective") if name not in axes and given[name] is not None}
    base = ObjectiveSpec(**{**settings, "kl_anneal": _anneal(given)})
    bases = [replace(base, ou_samples=K) for K in values.whole_numbers("ou-samples", given["ou_samples"])]
    axis = tuple(itertools.chain.from_iterable(rho_axis(each, rhos) for each in bases))
    betas = values.items("beta-top", given["beta_top"]) if given["beta_top"] else []
    return tuple(itertools.chain.from_iterable(with_beta(axis, beta) for beta in betas)) if betas else axis


def method_objectives(given: Mapping[str, Any]) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives of the methods asked for; raises SpecError."""
    by_samples = [
        objectives_of(
            values.items("methods", given["methods"]),
            values.floats("rho", given["rho"]),
            K,
            _anneal(given),
            values.floats("free-bits", given["free_bits"]) if given["free_bits"] else (),
            given["iwae_k"],
            given["pseudo_inputs"],
        )
        for K in values.whole_numbers("ou-samples", given["ou_samples"])
    ]
    return tuple(itertools.chain.from_iterable(by_samples))


def grid_models(given: Mapping[str, Any]) -> list[str]:
    """Return a model for each width at each depth; raises SpecError.

    The width of a convolutional family is the number of its maps, and its hidden width that of its filters.
    """
    kind, hidden, maps = given["family"] or "mlp", given["hidden"], given["maps"]
    if maps is not None and kind == "mlp":
        raise SpecError(f"maps: {maps!r} is not allowed with --family mlp, whose latents are rows of units")
    if maps is not None and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", maps):
        raise SpecError(f"maps: {maps!r} is not allowed; it must be HEIGHTxWIDTH such as 7x7")
    depths, widths = (values.whole_numbers(name, given[name]) for name in ("depths", "widths"))
    for name, axis in (("depths", depths), ("widths", widths)):
        if min(axis) < 1:
            raise SpecError(f"{name}: {min(axis)} is not allowed; it must be at least 1")
    size, letter = ("", "h") if kind == "mlp" else (f"x{maps or MAPS}", "f")
    inner = "" if hidden is None else f"{letter}{hidden}"
    texts = [f"{kind}{depth}x{width}{size}{inner}" for depth in depths for width in widths]
    return [parse_model(text).name for text in texts]


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


def resolved(command: str, given: Mapping[str, Any], spec: SweepSpec) -> dict[str, Any]:
    """Return the settings with what they turned out to be, in the form that --config of that command reads."""
    seeds = [f"{spec.seeds[0]}:{spec.seeds[0]}"] if len(spec.seeds) == 1 else [str(seed) for seed in spec.seeds]
    found: dict[str, Any] = {"datasets": [source.reference for source in spec.data], "seeds": seeds}
    if "model" in given:
        found["model"] = [model.name for model in spec.models]
    found["rho"] = list(values.floats("rho", given["rho"]))
    found |= {name: spec.to_dict()[name] for name in ("steps", "batch_size", "lr")}
    found |= {name: value if isinstance(value, list) else [value] for name, value in found.items() if name != "seeds"}
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    return {"command": command, **settings, **found}
