"""How recorded packs are to be run: where the data are, on which device, what to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hvae_core.data import DataError, Dataset, load_dataset, own_file
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger
from sweeps.planning.moved_data import load_moved
from sweeps.planning.resources import usable_cpus


@dataclass(frozen=True)
class PackOptions:
    """How packs are to be run: nothing here changes a number beyond rounding, but which test images L_100 uses."""

    root: str
    data_dir: str | None = None
    references: tuple[tuple[str, str, str], ...] = ()  # (name, content checksum, what loads it)
    eval_every: int = 0
    ll_examples: int = 500
    keep: Literal["weights", "none"] = "weights"
    device: str = "cpu"
    threads: int = 1
    resources: tuple[tuple[str, Any], ...] = ()  # what trials were asked for, for the provenance record

    @classmethod
    def of(cls, root: Path, request: Mapping[str, Any], device: str = "cpu") -> PackOptions:
        """Read how a recorded request is to be run."""
        settings, data = request["settings"], request["request"]["data"]
        return cls(
            root=str(root),
            data_dir=settings.get("data_dir"),
            references=tuple((source["name"], source["checksum"], source["reference"]) for source in data),
            eval_every=settings.get("eval_every", cls.eval_every),
            ll_examples=settings.get("ll_examples", cls.ll_examples),
            keep=settings.get("keep", cls.keep),
            device=device,
            threads=max(1, min(settings.get("cpus_per_trial", 1), usable_cpus())) if device == "cpu" else 1,
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> PackOptions:
        """Read `dataclasses.asdict` back, whose tuples may have become lists on the way."""
        pairs = {name: tuple(map(tuple, values[name])) for name in ("references", "resources")}
        return cls(**{**values, **pairs})


def options_by_data(
    ledger: Ledger, data_dir: Path | None = None, device: str = "cpu"
) -> dict[tuple[str, str], PackOptions]:
    """Return how to load each data set that the directory's requests name, by its name and checksum."""
    found: dict[tuple[str, str], PackOptions] = {}
    for request in ledger.requests():
        options = PackOptions.of(ledger.root, request, device)
        options = options if data_dir is None else replace(options, data_dir=str(data_dir))
        found |= {(source["name"], source["checksum"]): options for source in request["request"]["data"]}
    return found


def load_data(options: PackOptions, cell: Cell) -> Dataset:
    """Load a cell's data from where the request found it; raises DataError if its content has changed."""
    known = {(name, checksum): reference for name, checksum, reference in options.references}  # two names, one content
    reference = known.get((cell.dataset, cell.checksum), f"{cell.dataset}:{cell.source}")
    directory = Path(options.data_dir) if options.data_dir else None
    own = own_file(reference)
    if own is not None and not own.is_file():
        moved = load_moved(reference, cell.binarise, cell.checksum, Path(options.root), directory)
        if moved is not None:
            return moved
    data = load_dataset(reference, binarise=cell.binarise, data_dir=directory, download=False)
    if data.checksum != cell.checksum:
        raise DataError(
            f"{reference}: its content has changed since it was planned "
            f"(checksum {data.checksum[:12]}, planned {cell.checksum[:12]})"
        )
    return data


def device_name(device: str) -> str:
    """Name of the device in records: cpu, or the GPU's model."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
