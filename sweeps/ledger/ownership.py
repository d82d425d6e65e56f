"""Writes that only the present owner of a folder can make, however long its process was suspended meanwhile.

A folder is that of a pack, or a results directory whose requests are recorded. A claim says who works on it, but no
check of it protects a write: a process can be suspended (a closed laptop, SIGSTOP) between the two, and wake up after
another has taken over and finished. So each owner has a folder inside, `owner-<token>`, in which every file is written
before it is renamed to its place, and whoever takes over first renames the folders of all others into its own. From
then on an earlier owner's renames find no file to rename, whatever it had checked before.

Invariants: an owner makes its own folder, then looks whether the claim is still its own, then fences all others off,
then reads states, then writes. A rename either happened before its owner was fenced off, and the new owner sees what
it did, or it never happens. One that was suspended before it fenced anybody off cannot do so any more: either the
claim is another's by then, or its own folder is in the other's.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sweeps.ledger.claims import Claim

PREFIX = "owner-"


class TakenOverError(Exception):
    """Another process has taken the folder over: nothing can be written for it any more; the message is one line."""


class Ownership:
    """The right to write for a folder, as a context inside its claim; raises TakenOverError if that is another's."""

    def __init__(self, folder: Path, claim: Claim) -> None:
        self.folder, self.claim, self.staging = folder, claim, folder / f"{PREFIX}{claim.token}"

    def __enter__(self) -> Ownership:
        try:
            self.staging.mkdir()
            if not self.claim.mine():
                raise self._taken_over()
            self._fence_off()
        except FileNotFoundError as error:  # the folder has gone with a finished pack
            raise self._taken_over() from error
        except BaseException:
            shutil.rmtree(self.staging, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)

    def check(self) -> None:
        """Raise TakenOverError where another owner has fenced this one off."""
        if not self.staging.is_dir():
            raise self._taken_over()

    def _taken_over(self) -> TakenOverError:
        return TakenOverError(f"{self.folder}: another process took it over while this one was suspended")

    def _fence_off(self) -> None:
        """Take the right to write from every other owner, as long as this one has it."""
        for other in self.folder.glob(f"{PREFIX}*"):
            if other != self.staging:
                away = self.staging / f"fenced-{uuid.uuid4().hex}"
                with suppress(FileNotFoundError):  # the other has gone, or this one was fenced off
                    os.rename(other, away)  # noqa: PTH104  # one atomic step
                shutil.rmtree(away, ignore_errors=True)
        self.check()
