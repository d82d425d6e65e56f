"""Writes that only the present owner of a folder can make, however long its process was suspended meanwhile.

A folder is that of a pack, or a results directory whose requests are recorded. A claim says who works on it, but no
check of it protects a write: a process can be suspended (a closed laptop, SIGSTOP) between the two, and wake up after
another has taken over and finished. So each owner has a folder inside, `owner-<token>`, in which every file is written
before it is renamed to its place, and whoever takes over first renames the folders of all others away. From then on an
earlier owner's renames find no file to rename, whatever it had checked before.

Invariants: an owner makes its own folder, then fences all others off, then reads states, then writes. A rename either
happened before its owner was fenced off, and the new owner sees what it did, or it never happens.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PREFIX = "owner-"


class TakenOverError(Exception):
    """Another process has taken the folder over: nothing can be written for it any more; the message is one line."""


class Ownership:
    """The right to write for a folder, as a context inside its claim."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder, self.staging = folder, folder / f"{PREFIX}{token}"

    def __enter__(self) -> Ownership:
        self.staging.mkdir()
        fence_off(self.folder, keep=self.staging)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)

    def check(self) -> None:
        """Raise TakenOverError where another owner has fenced this one off."""
        if not self.staging.is_dir():
            raise TakenOverError(f"{self.folder}: another process took it over while this one was suspended")


def fence_off(folder: Path, keep: Path | None = None) -> None:
    """Take the right to write from every owner but `keep`; to be called by who holds the claim."""
    for other in folder.glob(f"{PREFIX}*"):
        if other != keep:
            away = folder / f".fenced-{uuid.uuid4().hex}"
            with suppress(FileNotFoundError):
                os.rename(other, away)  # noqa: PTH104  # one atomic step
            shutil.rmtree(away, ignore_errors=True)
