"""Results directories -> one tidy frame, one row per cell, with a line about everything that is left out.

A cell met twice is one row, with what either directory has evaluated of it. If they hold different numbers for it, the
first is kept and the difference is reported: averaging two trainings of one declared model would hide that something
else differed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from hvae_core.spec import SYSTEMS
from sweeps.errors import NothingError
from sweeps.grid.cell import COLUMNS
from sweeps.grid.declared import names, of_kind
from sweeps.ledger.ledger import Ledger, Record
from sweeps.ledger.validation import is_number

MAX_NOTES = 5
NOTE_SECONDS = 5.0
MOST_SHARE = 10.0  # an estimate of a part of one can come out somewhat beyond it
AT_FLOOR = 0.05  # a KL at most that share above the free-bits floor is held there
RANK = {"complete": 0, "diverged": 1, "failed": 1, "pending": 2}

_TEXT = ("cell_id", "state", "family", "method", "device", *of_kind("text"))
_COUNTS = ("depth", "width", "at_floor", "parameters", "pack_size", *of_kind("whole"))
_OBJECTIVE = tuple(name for name in names("objective") if name != "rho")
_ORDER = (*names("data"), "depth", "width", *names("model"), *_OBJECTIVE, *names("train"), "seed", "rho", "cell_id")


Note: TypeAlias = Callable[[str], None]


class GatherError(NothingError):
    """No results where they were looked for; the message is one line."""


@dataclass(frozen=True)
class Gathered:
    """What results directories hold: one row per cell, and a line on everything left out of it and why.

    `directories` holds, by cell id, the one that the cell's row was read from.
    """

    frame: pd.DataFrame
    notes: list[str]
    directories: dict[str, Path]


@dataclass
class _Merger:
    """Rows by cell id; the first complete row of a cell wins, and clashes are counted per pair of directories.

    A later evaluation that the first row lacks is taken from another, unless their numbers clash.
    """

    rows: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    clashes: dict[tuple[Path, Path], list[str]] = field(default_factory=dict)

    def add_all(self, directory: Path, damaged: list[str], note: Note) -> int:
        """Add the cells of a directory, with a line to `damaged` on every file that is none; returns how many."""
        count, said = 0, time.monotonic()
        for record in _records(directory, damaged):
            self.add(directory, _row(record, damaged) | _later(directory, record, damaged))
            count += 1
            if time.monotonic() - said > NOTE_SECONDS:
                said = time.monotonic()
                note(f"{directory}: {count:,} cells read")
        return count

    def add(self, directory: Path, row: dict[str, Any]) -> None:
        known = self.rows.get(row["cell_id"])
        if known is None or RANK[row["state"]] < RANK[known[1]["state"]]:
            self.rows[row["cell_id"]] = (directory, row)
        elif row["state"] == known[1]["state"] == "complete":
            if name := _difference(known[1], row):
                values = f"{name} {known[1][name]!r} and {row[name]!r}"
                self.clashes.setdefault((known[0], directory), []).append(f"cell {row['cell_id']}: {values}")
            else:
                known[1].update({name: value for name, value in row.items() if known[1].get(name) is None})

    @property
    def notes(self) -> list[str]:
        return [
            f"{second}: {len(cells)} of its cells {'is' if len(cells) == 1 else 'are'} in {first} with different "
            f"numbers; those of {first} are kept (first: {cells[0]})"
            for (first, second), cells in self.clashes.items()
        ]


def gather(directories: Sequence[Path], note: Note = lambda line: None) -> Gathered:
    """Read every cell of the given results directories into one frame.

    A directory without cells of its own stands for the results directories one level below it. Metrics are in nats
    per example (elbo, recon, kl_*, ll_*), bits (bits_per_dim, of the ELBO where pixels have 256 levels), counts of
    units (au_*), parts of one (share_*) and seconds; those of cells that are not complete are missing. Rows are sorted
    by data, model, objective and training settings, then seed and rho. `note` is told how far it is, every few seconds.

    Raises GatherError for a path that does not exist, is a file, cannot be read or holds no cells.
    """
    if not directories:
        raise GatherError("no results directory was given")
    merger, notes = _Merger(), list[str]()
    read: dict[Path, int] = {}  # cells found, by resolved directory
    for given in directories:
        damaged: list[str] = []
        below = results_directories(given)
        for directory in below:
            if directory.resolve() not in read:
                lines: list[str] = []
                read[directory.resolve()] = merger.add_all(directory, lines, note)
                notes.extend(shortened(lines, directory))
                damaged.extend(lines)
        if not any(read[directory.resolve()] for directory in below):
            why = f"every cell is damaged, the first: {damaged[0]}" if damaged else "no cell is recorded in it"
            raise GatherError(f"{given}: holds no results: {why}")
    directories_of = {cell_id: directory for cell_id, (directory, _) in merger.rows.items()}
    return Gathered(_frame([row for _, row in merger.rows.values()]), notes + merger.notes, directories_of)


@cache
def columns(depth: int) -> tuple[str, ...]:
    """Columns of the frame, in order, where the deepest model has that many stochastic layers."""
    layers = range(1, depth + 1)
    return (
        *("cell_id", "state", *COLUMNS, "elbo", "recon", "kl_total", "kl_top", *(f"kl_{i}" for i in layers)),
        *("au_top", *(f"au_{i}" for i in layers), *(f"au_path_{i}" for i in layers)),
        *("share_top", *(f"share_{i}" for i in layers)),
        *("at_floor", "ll_100", "ll_100_se", "ll_100_ess", "ll_examples", "baseline"),
        *("bits_per_dim", "parameters", "seconds", "pack_size", "device"),
    )


def layers_at_floor(row: Mapping[str, Any] | pd.Series[Any]) -> list[int]:
    """Return the stochastic layers of a complete cell whose KL lies at the free-bits floor or below."""
    if pd.isna(row["free_bits"]):
        return []
    return [i for i in range(1, row["depth"] + 1) if row[f"kl_{i}"] <= (1 + AT_FLOOR) * row["free_bits"]]


def results_directories(given: Path) -> list[Path]:
    """Return the directory itself if it holds cells, else those directly below it that look like results."""
    try:
        if not given.exists():
            raise GatherError(f"{given}: no such directory")
        if not given.is_dir():
            raise GatherError(f"{given}: is a file, not a results directory")
        Ledger(given).requests()  # refuses a directory of another version by name
        if Ledger(given).cell_ids():
            return [given]
        below = [p for p in sorted(given.iterdir()) if (p / "cells").is_dir() or (p / "sweep.json").is_file()]
        looks = (given / "cells").is_dir() or (given / "sweep.json").is_file()
    except OSError as error:
        raise GatherError(f"{given}: cannot be read: {error.strerror}") from error
    if not below and not looks:
        raise GatherError(f"{given}: holds no results: neither cells/ nor sweep.json, here or one folder down")
    return below


def _records(directory: Path, damaged: list[str]) -> Iterable[Record]:
    try:
        yield from Ledger(directory).records(damaged)
    except OSError as error:
        raise GatherError(f"{directory}: cannot be read: {error.strerror}") from error


def _row(record: Record, damaged: list[str]) -> dict[str, Any]:
    """One cell as a row; numbers that cannot be what their column says are left out and named in `damaged`."""
    cell_id = record.cell.id
    row = {"cell_id": cell_id, "state": record.state, **record.cell.row}
    if record.result is None:
        return row
    for name in columns(record.cell.model.depth)[2 + len(COLUMNS) :]:
        value = record.result.get(name)
        if value is not None and not _fits(name, value, max(record.cell.model.units)):
            damaged.append(f"cell {cell_id}: {name} is {value!r} in result.json, left out")
            value = None
        row[name] = value
    row["at_floor"] = len(layers_at_floor(row))
    return row


def _later(directory: Path, record: Record, damaged: list[str]) -> dict[str, Any]:
    """Columns of later evaluations, where a complete cell has any: ll_5000, ll_5000_se, share_top, info_top, ..."""
    if record.result is None:
        return {}
    row: dict[str, Any] = {}
    for name, found in Ledger(directory).evaluations(record.cell.id, damaged).items():
        if name == "share":
            row |= {} if "share_top" in record.result else found["metrics"]
        elif name == "information":
            row |= found["metrics"] | {"info_examples": found["examples"], "info_paths": found["paths"]}
        else:
            row |= {
                f"ll_{name}": found["ll"],
                f"ll_{name}_se": found.get("ll_se"),
                f"ll_{name}_ess": found.get("ll_ess"),
            }
            row[f"ll_{name}_examples"] = found["examples"]
    return row


def _fits(name: str, value: object, width: int) -> bool:
    """Whether a value can be in a column, of a model whose widest layer has so many units."""
    if name in _TEXT:
        return isinstance(value, str)
    if not is_number(value) or (name.startswith("share_") and abs(value) > MOST_SHARE):
        return False
    most = width if name.startswith("au_") else 2**63 - 1
    return not _is_count(name) or (value == int(value) and 0 <= value <= most)


@cache
def _is_count(name: str) -> bool:
    return name in _COUNTS or name.startswith("au_") or name.endswith(("_examples", "_paths"))


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Name of the first measured number in which two results of one cell differ; times and devices may."""
    measured = [
        name
        for name in one
        if name.startswith(("elbo", "recon", "kl_", "au_", "share_", "info_", "ll_")) and name != "kl_anneal"
    ]
    for name in measured:
        values = one[name], other.get(name)
        if None not in values and values[0] != values[1]:
            return name
    return None


def shortened(lines: Sequence[str], directory: Path) -> list[str]:
    """Keep the first few lines about a directory and count the rest."""
    if len(lines) <= MAX_NOTES:
        return list(lines)
    return [*lines[:MAX_NOTES], f"{directory}: and {len(lines) - MAX_NOTES} more damaged files, left out as well"]


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    depth = max((row["depth"] for row in rows), default=0)
    known = columns(depth)
    names = [*known, *sorted({n for row in rows for n in row} - set(known), key=_by_evaluation)]
    frame = pd.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in names})
    return frame.sort_values(list(_ORDER), kind="stable", na_position="first", ignore_index=True, key=_sorted_by)


def _sorted_by(column: pd.Series[Any]) -> pd.Series[Any]:
    """Sort systems as they are listed, the serial hierarchy first, and all else by value."""
    return column.map(SYSTEMS.index).astype("Int64") if column.name == "system" else column


def _by_evaluation(name: str) -> tuple[bool, str, int, str]:
    """Order ll_<k>, ll_<k>_ess, ... by k, then info_top, info_1, ... by layer and info_examples, info_paths."""
    kind, place = name.split("_")[:2]
    number = int(place) if place.isdecimal() else 0 if place == "top" else 2**31
    return kind != "ll", kind, number, name


def _column(name: str, values: list[Any]) -> pd.Series[Any]:
    if name in _TEXT:
        return pd.Series(values, dtype="string")
    return pd.Series(values, dtype="Int64") if _is_count(name) else pd.Series(values, dtype="float64")
