"""Where a results directory is: paths that a user typed, checked before anything is read or written."""

from __future__ import annotations

import re
from pathlib import Path

from hvae_core.checks import SpecError
from sweeps.ledger.ledger import Ledger


def ledger_at(name: str, text: str) -> Ledger:
    """Open a results directory by an absolute path; raises SpecError, naming the argument, if it cannot be one."""
    path = Path(text).expanduser().absolute()
    if not text:
        raise SpecError(f"{name}: an empty path is not allowed; it must be a directory")
    refuse_scheme(name, text)
    for part in (path, *path.parents):
        if (part.exists() and not part.is_dir()) or (part.is_symlink() and not part.exists()):
            raise SpecError(f"{name}: {text!r} is not allowed: {part} is no directory")
    return Ledger(path)


def refuse_scheme(name: str, text: str) -> None:
    """Raise SpecError for s3://bucket/x and its like: as a path it would be a folder named `s3:`."""
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", text)
    if scheme:
        raise SpecError(
            f"{name}: {text!r} is not allowed: {scheme.group()}:// is not supported; it must be a directory of a file "
            "system that all workers share"
        )


def results_at(name: str, text: str) -> Ledger:
    """Open a directory that holds the records of a sweep, or of jobs that are to make them; raises SpecError."""
    ledger = ledger_at(name, text)
    if not ledger.requests() and not ledger.cell_ids() and not (ledger.root / "jobs").is_dir():
        raise SpecError(f"{name}: {text!r} is no results directory; it must hold the records of a sweep")
    return ledger
