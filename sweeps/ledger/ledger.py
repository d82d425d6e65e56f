"""The results directory as the only ledger: one atomic file per fact, every state derived from files.

cells/<id>/config.json      what the id hashes             (present = planned)
          /result.json      final metrics, strict JSON     (present = complete)
          /failure.json     why it failed or diverged      (and no result)
          /history.csv /provenance.json /weights.safetensors /eval-<k>.json
packs/<id>/                 claim, progress.json and checkpoints of cells that train together
sweep.json                  the requests, one entry per invocation
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hvae_core.checks import SpecError
from sweeps.grid.cell import ID, SCHEMA, Cell, content_id
from sweeps.ledger.atomic_files import (
    DamagedFileError,
    fingerprint,
    read_json,
    set_aside,
    stamps,
    write_bytes,
    write_json,
)
from sweeps.ledger.ownership import Ownership
from sweeps.ledger.validation import (
    EVALUATION,
    csv_bytes,
    damaged_companions,
    is_request,
    read_evaluation,
    read_history,
    read_result,
)

State = Literal["complete", "failed", "diverged", "pending"]


class LedgerError(Exception):
    """A results directory that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Record:
    """A cell as the directory knows it. `damage` names files that are there but are not what they should be."""

    cell: Cell
    state: State
    result: dict[str, Any] | None
    failure: dict[str, Any] | None
    damage: tuple[DamagedFileError, ...] = ()


@dataclass(frozen=True)
class Pack:
    """Cells that train together, in this order, as one stacked model."""

    cells: tuple[str, ...]

    @property
    def id(self) -> str:
        """Hash of the ordered members."""
        return content_id(list(self.cells))


class Ledger:
    """A results directory.

    owner: whose right to write outcomes of cells and requests is needed for it (see `ownership`); None: nobody's.
    """

    def __init__(self, root: Path, owner: Ownership | None = None) -> None:
        self.root, self.owner = root, owner

    @contextmanager
    def _staged(self) -> Iterator[Path | None]:
        """Yield where an outcome is to be written first; raises TakenOverError where the owner was fenced off."""
        try:
            yield None if self.owner is None else self.owner.staging
        except FileNotFoundError:
            if self.owner is not None:
                self.owner.check()
            raise

    def folder(self, name: str) -> Path:
        """Folder of the directory's own; raises LedgerError if it is a link, which could lead out of it."""
        path = self.root / name
        if path.is_symlink():
            raise LedgerError(f"{path}: is a symbolic link, which is not followed")
        return path

    def cell_path(self, cell_id: str) -> Path:
        """Folder of one cell."""
        return self.folder("cells") / cell_id

    def pack_path(self, pack_id: str) -> Path:
        """Folder of one pack: claim, progress, checkpoints."""
        self.folder("packs")
        return self.folder(f"packs/{pack_id}")

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
            if not is_request(request):
                raise LedgerError(f"{self.root / 'sweep.json'}: request {n} is not one; move the file away to go on")
        return requests

    def add_request(self, request: Mapping[str, Any], cells: Iterable[Cell]) -> None:
        """Record a request and the configuration of its cells, before anything is trained."""
        requests = self.requests()
        for cell in cells:
            path = self.cell_path(cell.id)
            path.mkdir(parents=True, exist_ok=True)
            if not (path / "config.json").exists():
                write_json(path / "config.json", cell.config, durable=False)  # the request can always write it again
        with self._staged() as staging:  # a list is read and written as a whole: by one owner alone
            whole = {"schema": SCHEMA, "requests": [*requests, dict(request)]}
            write_json(self.root / "sweep.json", whole, staging=staging)

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
        folder = self.folder("cells")
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if ID.fullmatch(p.name) and not p.is_symlink())

    def record(self, cell_id: str) -> Record | None:
        """Read one cell; None if it was never planned; raises DamagedFileError if its configuration is unusable."""
        path = self.cell_path(cell_id)
        if path.is_symlink():
            raise DamagedFileError(path, "is a symbolic link, which is not followed")
        config = read_json(path / "config.json")
        if config is None:
            return None
        try:
            cell = Cell.from_config(config)
        except SpecError as error:
            raise DamagedFileError(path / "config.json", f"{error}") from error
        if cell.id != cell_id:
            raise DamagedFileError(path / "config.json", f"describes cell {cell.id}, not {cell_id}")
        return self._outcome(cell, path)

    def _outcome(self, cell: Cell, path: Path) -> Record:
        damage: list[DamagedFileError] = []
        result = failure = None
        try:
            result = read_result(path / "result.json", cell)
        except DamagedFileError as error:
            damage.append(error)
        if result is not None:
            damage += damaged_companions(path, result)
        try:
            failure = read_json(path / "failure.json") if result is None else None
        except DamagedFileError as error:
            damage.append(error)
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

    def records(self, damaged: list[str] | None = None, complete: bool = False) -> Iterator[Record]:
        """Read every planned cell (or those with a result alone); one that cannot be read is named in `damaged`."""
        for cell_id in self.cell_ids():
            if complete and not (self.cell_path(cell_id) / "result.json").exists():
                continue
            try:
                record = self.record(cell_id)
            except DamagedFileError as error:
                if damaged is not None:
                    damaged.append(str(error))
                continue
            if record is not None:
                if damaged is not None:
                    damaged.extend(map(str, record.damage))
                yield record

    def repair(self, cells: Iterable[Cell]) -> list[str]:
        """Set damaged files of these cells aside, so that they are trained again; returns a line on each.

        A result goes aside with a damaged companion; a configuration that is gone or damaged is written again. A file
        that another writer has put in the place of a damaged one meanwhile stays.
        """
        notes: list[str] = []

        def put_aside(error: DamagedFileError) -> None:
            moved = set_aside(error.path, judged.get(error.path))
            notes.extend([f"{error}; set aside as {moved.name}"] if moved else [])

        for cell in cells:
            if self._is_whole(cell):
                continue
            folder = self.cell_path(cell.id)
            config, result, judged = folder / "config.json", folder / "result.json", stamps(folder)
            try:
                record = self.record(cell.id)
            except DamagedFileError as error:
                put_aside(error)
                record = None
            if record is None:
                if not config.parent.exists():
                    continue  # never planned, or just set aside as a whole
                write_json(config, cell.config)
                record = self._outcome(cell, config.parent)
            for damaged in record.damage:
                put_aside(damaged)
            if record.damage and record.result is not None:
                set_aside(result, judged.get(result))
        return notes

    def _is_whole(self, cell: Cell) -> bool:
        try:
            record = self.record(cell.id)
        except DamagedFileError:
            return False
        return record is not None and not record.damage

    def complete(
        self,
        cell: Cell,
        result: Mapping[str, Any],
        provenance: Mapping[str, Any],
        history: Sequence[Mapping[str, float | int]],
        weights: bytes | None = None,
    ) -> None:
        """Record a finished cell; result.json is written last, so that its presence means complete.

        It names its companions with their sizes and checksums, so that a damaged one is noticed.
        """
        path = self.cell_path(cell.id)
        companions = {"history.csv": csv_bytes(history)} | ({} if weights is None else {"weights.safetensors": weights})
        files = {name: fingerprint(content) for name, content in companions.items()}
        with self._staged() as staging:
            for name, content in companions.items():
                write_bytes(path / name, content, staging=staging)
            write_json(path / "provenance.json", provenance, staging=staging)
            whole = {"schema": SCHEMA, "cell_id": cell.id, **result, "files": files}
            write_json(path / "result.json", whole, staging=staging)
        (path / "failure.json").unlink(missing_ok=True)

    def fail(self, cell_id: str, kind: str, lines: Sequence[str], step: int | None = None) -> None:
        """Record a failed (error, lost) or diverged cell with its last lines; attempts are counted."""
        failure = {"schema": SCHEMA, "cell_id": cell_id, "kind": kind, "step": step, "lines": list(lines)}
        attempts = self.attempts(cell_id) + 1
        with self._staged() as staging:
            write_json(self.cell_path(cell_id) / "failure.json", {**failure, "attempts": attempts}, staging=staging)

    def reopen(self, cell_id: str) -> None:
        """Make a failed or diverged cell pending again; its failure is kept as failure-<n>.json."""
        path = self.cell_path(cell_id)
        (path / "failure.json").rename(path / f"failure-{self.attempts(cell_id) + 1}.json")

    def attempts(self, cell_id: str) -> int:
        """Count the earlier attempts at this cell that failed and were opened again."""
        return len(list(self.cell_path(cell_id).glob("failure-*.json")))

    def evaluations(self, cell_id: str, damaged: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Read the later evaluations of a cell by name (5000: L_5000); a damaged one is named in `damaged`."""
        found: dict[str, dict[str, Any]] = {}
        folder = self.cell_path(cell_id)
        try:
            entries = os.listdir(folder)  # noqa: PTH208 - glob takes ten times as long
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        for entry in entries:
            name, path = EVALUATION.fullmatch(entry), folder / entry
            if name is not None:
                try:
                    found[name[1]] = read_evaluation(path, cell_id, name[1])
                except DamagedFileError as error:
                    if damaged is not None:
                        damaged.append(str(error))
        return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))

    def write_history(self, cell_id: str, rows: Sequence[Mapping[str, float | int]]) -> None:
        """Write history.csv: one row per evaluation on the validation images."""
        with self._staged() as staging:
            write_bytes(self.cell_path(cell_id) / "history.csv", csv_bytes(rows), staging=staging)

    def history(self, cell_id: str) -> list[dict[str, float]]:
        """Read history.csv back, oldest row first; raises DamagedFileError for anything but numbers."""
        return read_history(self.cell_path(cell_id) / "history.csv")
