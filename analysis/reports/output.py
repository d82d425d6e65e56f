"""Files of a figure or a table on disk, each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sweeps.ledger.atomic_files import write_bytes


def write_all(directory: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files by name into a directory, which is made where it is missing; returns their paths.

    Raises an OSError with a one-line message where nothing can be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(directory / name, content)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{directory}: is not a directory that files can be written to") from error
    except OSError as error:
        raise OSError(f"{directory}: cannot be written to: {error.strerror or error}") from error
    return [directory / name for name in contents]
