"""The results directory as the only ledger: one atomic file per fact, every state derived from files.

cells/<id>/config.json      what the id hashes             (present = planned)
          /result.json      final metrics, strict JSON     (present = complete)
          /failure.json     why it failed or diverged      (and no result)
          /history.csv /provenance.json /weights.safetensors
packs/<id>/                 claim, progress and checkpoints of cells that train together
sweep.json                  the requests, one entry per invocation
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hvae_core.spec import SpecError
from sweeps.cell import ID, SCHEMA, Cell, content_id
from sweeps.files import DamagedFileError, read_json, set_aside, write_bytes, write_json

State = Literal["complete", "failed", "diverged", "pending"]
METRICS = ("elbo", "recon", "kl_total", "kl_top", "au_top")


class LedgerError(Exception):
    """A results directory that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Record:
    """A cell as the directory knows it. `damage` names files that are there but cannot be read."""

    cell: Cell
    state: State
    result: dict[str, Any] | None
    failure: dict[str, Any] | None
    damage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pack:
    """Cells that train together, in this order, as one stacked model."""

    cells: tuple[str, ...]

    @property
    def id(self) -> str:
        """Hash of the ordered members."""
        return content_id(list(self.cells))


class Ledger:
    """A results directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def cell_path(self, cell_id: str) -> Path:
        """Folder of one cell."""
        return self.root / "cells" / cell_id

    def pack_path(self, pack_id: str) -> Path:
        """Folder of one pack: claim, progress, checkpoints."""
        return self.root / "packs" / pack_id

    # requests -------------------------------------------------------------------------------------------------

    def requests(self) -> list[dict[str, Any]]:
        """Return the recorded requests, oldest first; raises LedgerError if sweep.json is of another version."""
        try:
            content = read_json(self.root / "sweep.json")
        except DamagedFileError as error:
            raise LedgerError(f"{error}; move it away to start a new request list") from error
        if content is None:
            return []
        requests = content.get("requests")
        if content.get("schema") != SCHEMA or not isinstance(requests, list):
            found = content.get("schema")
            raise LedgerError(f"{self.root / 'sweep.json'}: schema {found!r}; this version reads and writes {SCHEMA}")
        for n, request in enumerate(requests):
            if not _is_request(request):
                raise LedgerError(f"{self.root / 'sweep.json'}: request {n} is not one; move the file away to go on")
        return requests

    def add_request(self, request: Mapping[str, Any], cells: Iterable[Cell]) -> None:
        """Record a request and the configuration of its cells, before anything is trained."""
        requests = self.requests()
        for cell in cells:
            path = self.cell_path(cell.id)
            path.mkdir(parents=True, exist_ok=True)
            if not (path / "config.json").exists():
                write_json(path / "config.json", cell.config)
        write_json(self.root / "sweep.json", {"schema": SCHEMA, "requests": [*requests, dict(request)]})

    def packs(self, requests: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Pack]:
        """Return the packs that requests (all that are recorded) planned, by id, oldest first."""
        found: dict[str, Pack] = {}
        for request in self.requests() if requests is None else requests:
            for cells in request["packs"]:
                pack = Pack(tuple(cells))
                found[pack.id] = pack
        return found

    # cells ----------------------------------------------------------------------------------------------------

    def cell_ids(self) -> list[str]:
        """Ids of all planned cells."""
        folder = self.root / "cells"
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if ID.fullmatch(p.name) and not p.is_symlink())

    def record(self, cell_id: str) -> Record | None:
        """Read one cell; None if it was never planned; raises DamagedFileError if its configuration is unusable."""
        path = self.cell_path(cell_id)
        config = read_json(path / "config.json")
        if config is None:
            return None
        try:
            cell = Cell.from_config(config)
        except SpecError as error:
            raise DamagedFileError(f"{path / 'config.json'}: {error}") from error
        if cell.id != cell_id:
            raise DamagedFileError(f"{path / 'config.json'}: describes cell {cell.id}, not {cell_id}")
        damage: list[str] = []
        result = failure = None
        try:
            result = _checked_result(path / "result.json", cell)
        except DamagedFileError as error:
            damage.append(str(error))
        try:
            failure = read_json(path / "failure.json") if result is None else None
        except DamagedFileError as error:
            damage.append(str(error))
        state: State = "pending"
        if result is not None:
            state = "complete"
        elif failure is not None:
            state = "diverged" if failure.get("kind") == "diverged" else "failed"
        return Record(cell, state, result, failure, tuple(damage))

    def state(self, cell_id: str) -> State:
        """State of one cell; pending if nothing usable is there."""
        try:
            record = self.record(cell_id)
        except DamagedFileError:
            return "pending"
        return "pending" if record is None else record.state

    def records(self, damaged: list[str] | None = None) -> Iterator[Record]:
        """Read every planned cell; a cell that cannot be read is left out and named in `damaged`."""
        for cell_id in self.cell_ids():
            try:
                record = self.record(cell_id)
            except DamagedFileError as error:
                if damaged is not None:
                    damaged.append(str(error))
                continue
            if record is not None:
                if damaged is not None:
                    damaged.extend(record.damage)
                yield record

    def repair(self, cells: Iterable[Cell]) -> list[str]:
        """Set damaged files of these cells aside, so that they are pending again; returns what was found."""
        notes: list[str] = []
        for cell in cells:
            path = self.cell_path(cell.id)
            for name in ("config.json", "result.json", "failure.json"):
                try:
                    if name == "result.json":
                        _checked_result(path / name, cell)
                    else:
                        content = read_json(path / name)
                        if name == "config.json" and content is not None and content != cell.config:
                            raise DamagedFileError(f"{path / name}: is not what cell {cell.id} hashes")
                except DamagedFileError as error:
                    notes.append(f"{error}; set aside as {set_aside(path / name).name}")
        return notes

    def complete(
        self, cell: Cell, result: Mapping[str, Any], provenance: Mapping[str, Any], weights: bytes | None = None
    ) -> None:
        """Record a finished cell; result.json is written last, so that its presence means complete."""
        path = self.cell_path(cell.id)
        if weights is not None:
            write_bytes(path / "weights.safetensors", weights)
        write_json(path / "provenance.json", provenance)
        write_json(path / "result.json", {"schema": SCHEMA, "cell_id": cell.id, **result})
        (path / "failure.json").unlink(missing_ok=True)

    def fail(self, cell_id: str, kind: str, lines: Sequence[str], step: int | None = None) -> None:
        """Record a failed (error, lost) or diverged cell with its last lines; attempts are counted."""
        failure = {"schema": SCHEMA, "cell_id": cell_id, "kind": kind, "step": step, "lines": list(lines)}
        attempts = self.attempts(cell_id) + 1
        write_json(self.cell_path(cell_id) / "failure.json", {**failure, "attempts": attempts})

    def reopen(self, cell_id: str) -> None:
        """Make a failed or diverged cell pending again; its failure is kept as failure-<n>.json."""
        path = self.cell_path(cell_id)
        (path / "failure.json").rename(path / f"failure-{self.attempts(cell_id) + 1}.json")

    def attempts(self, cell_id: str) -> int:
        """Count the earlier attempts at this cell that failed and were opened again."""
        return len(list(self.cell_path(cell_id).glob("failure-*.json")))

    def write_history(self, cell_id: str, rows: Sequence[Mapping[str, float | int]]) -> None:
        """Write history.csv: one row per evaluation on the validation images."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.cell_path(cell_id) / "history.csv", text.getvalue().encode())


def _is_request(request: object) -> bool:
    """Whether an entry of sweep.json has the shape that this version writes; ids must be ids, never paths."""
    match request:
        case {"packs": list(packs), "settings": dict(), "request": {"data": list(data)}}:
            cells = [cell for pack in packs if isinstance(pack, list) for cell in pack]
            sources = all(isinstance(d, dict) and {"asked", "checksum", "reference"} <= d.keys() for d in data)
            shaped = all(isinstance(pack, list) and pack for pack in packs)
            return shaped and sources and all(isinstance(cell, str) and ID.fullmatch(cell) for cell in cells)
    return False


def _checked_result(path: Path, cell: Cell) -> dict[str, Any] | None:
    result = read_json(path)
    if result is None:
        return None
    if result.get("schema") != SCHEMA or result.get("cell_id") != cell.id:
        raise DamagedFileError(f"{path}: is not a result of cell {cell.id} in schema {SCHEMA}")
    layers = [f"{name}_{i}" for name in ("kl", "au", "au_path") for i in range(1, cell.model.depth + 1)]
    for name in (*METRICS, *layers):
        value = result.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DamagedFileError(f"{path}: {name} is {value!r}, not a finite number")
    return result
