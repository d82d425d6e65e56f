"""Downloads, checked by a known hash. pooch, platformdirs and rich are imported here, where they are used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hvae_core.data.formats import DataError, why
from hvae_core.data.sources import ENV_DIR, Source, SourceFile, offline

TIMEOUT = 20.0
"""Seconds without an answer or a byte after which a download is given up."""


def cache_dir() -> Path:
    """Return the user's cache directory of this tool, which need not be there yet."""
    try:
        from platformdirs import user_cache_dir
    except ModuleNotFoundError:  # the core trains with torch and numpy alone; this is what Linux answers
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hvae-sweep"
    return Path(user_cache_dir("hvae-sweep"))


class Bar:
    """A progress bar of one download on stderr, with the four members that pooch asks for."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(what, total=None)
        self._total = 0
        self._progress.start()

    @property
    def total(self) -> int:
        """Size of the file in bytes; 0 while unknown."""
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._progress.update(self._task, total=size or None)

    def update(self, size: int) -> None:
        """Count `size` more bytes."""
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        """Count from nothing again."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Take the bar off the screen; a second call does nothing."""
        self._progress.stop()


def download(source: Source, file: SourceFile, directory: Path) -> Path:
    """Download one file of a source into `directory`, check its sha256, and return its path.

    The file appears under its name only when it is whole and right. A bar is shown when stderr is a terminal. Raises
    DataError when the file has no public hash, cannot be had, is not what the hash says, or cannot be written.
    """
    import pooch

    if not (file.url and file.sha256):
        raise DataError(f"{source.reference}: {file.name} has no public checksum and is not downloaded; {offline()}")
    pooch.get_logger().setLevel("ERROR")
    name = file.url.rpartition("/")[2]
    bar: Any = Bar(name) if sys.stderr.isatty() else None
    answers: list[Any] = []

    def note(answer: Any, *_: object, **__: object) -> None:
        answers.append(answer)

    fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT, hooks={"response": note})
    try:
        found = pooch.retrieve(
            url=file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=name,
            path=directory,
            downloader=fetch,
        )
    except (OSError, ValueError) as error:  # what requests raises is an OSError; a wrong hash is a ValueError
        raise DataError(
            f"{source.reference}: {file.url} could not be downloaded into {directory} ({why(error)}); get it by hand, "
            f"put it into DIR/{source.name}/ and give DIR as --data-dir or {ENV_DIR}; {offline()}"
        ) from error
    finally:
        for answer in answers:  # pooch leaves the connection of a refused request open
            answer.close()
        if bar is not None:
            bar.close()
    return Path(found)
