"""One cell in full: what it was, what came out, and where its numbers came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hvae_core.checks import SpecError
from sweeps.grid.cell import ID
from sweeps.ledger.atomic_files import read_json
from sweeps.ledger.ledger import Ledger, LedgerError


def find_cell(text: str, root: Path) -> Path:
    """Return the folder of a cell given by its path, or by the beginning of its id in a results directory.

    Raises SpecError, naming the argument, where there is none or more than one.
    """
    path = Path(text).expanduser().absolute()
    if path.is_dir() and ID.fullmatch(path.name):
        return path
    found = [cell for cell in Ledger(root).cell_ids() if cell.startswith(text)] if text else []
    if len(found) == 1:
        return Ledger(root).cell_path(found[0])
    if found:
        several = f"{len(found)} ids in {root}, such as {found[0]} and {found[1]}"
        raise SpecError(f"cell: {text!r} is the beginning of {several}")
    raise SpecError(f"cell: {text!r} is neither a cell's folder nor the beginning of an id in {root}")


def cell_facts(path: Path) -> dict[str, Any]:
    """Everything that a cell's folder says, as JSON values; raises LedgerError or DamagedFileError."""
    ledger = Ledger(path.parent.parent)
    ledger.requests()  # refuses a directory of another version by name
    record = ledger.record(path.name)
    if record is None:
        raise LedgerError(f"{path}: holds no config.json")
    files = {file.name: file.lstat().st_size for file in sorted(path.iterdir()) if not file.name.startswith(".")}
    return {
        "cell": record.cell.id,
        "state": record.state,
        "config": record.cell.config,
        "result": record.result,
        "evaluations": ledger.evaluations(record.cell.id),
        "failure": record.failure,
        "provenance": {k: v for k, v in (read_json(path / "provenance.json") or {}).items() if k != "config"},
        "files": files,
        "damage": [str(error) for error in record.damage],
    }


def lines(facts: Any, indent: str = "") -> list[str]:
    """Write nested facts as indented `name: value` lines; what is None or empty is left out."""
    found = []
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            found += [f"{indent}{name}:", *lines(value, indent + "  ")]
        elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            found += [f"{indent}{name}:", *(f"{indent}  {each}" for each in value)]
        elif value not in (None, {}, []):
            found.append(f"{indent}{name}: {value}")
    return found
