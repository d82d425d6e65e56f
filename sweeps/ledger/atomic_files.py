"""Small files that are whole or absent: atomic writing, and reading that trusts nothing.

A results directory may come from someone else: symbolic links are not followed, sizes are bounded, JSON is strict.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from hvae_core.sync import sync_directory

MAX_BYTES = 64 * 2**20
Stamp: TypeAlias = tuple[int, int]  # inode, and when it was last written, ns


class DamagedFileError(ValueError):
    """A file that is there but cannot be what it should be; the message names it in one line."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


def write_bytes(path: Path, content: bytes, durable: bool = True, staging: Path | None = None) -> None:
    """Write a file atomically: whole under its name, or not at all; durable: on disk, and so is its name.

    It is written in `staging`, a folder of the same file system (its own folder where none is given), and then renamed.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=staging or path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def write_json(path: Path, value: object, durable: bool = True, staging: Path | None = None) -> None:
    """Write strict JSON atomically, as `write_bytes` does; raises ValueError for a NaN or an infinity."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode(), durable, staging)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read one JSON object; None where there is no file; raises DamagedFileError for anything else."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise DamagedFileError(path, "is a symbolic link, which is not followed")
        if not stat.S_ISREG(found.st_mode):
            raise DamagedFileError(path, "is no regular file")
        if found.st_size > MAX_BYTES:
            raise DamagedFileError(path, f"larger than {MAX_BYTES} bytes")
        value = json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DamagedFileError):
            raise
        raise DamagedFileError(path, f"{type(error).__name__}: {str(error).splitlines()[0][:200]}") from error
    if not isinstance(value, dict):
        raise DamagedFileError(path, "holds no JSON object")
    return value


def is_finite(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold; a boolean is none, an integer may be too large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def fingerprint(content: bytes) -> dict[str, Any]:
    """Size and SHA-256 of a file's content, as a record keeps them."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def stamps(folder: Path) -> dict[Path, Stamp]:
    """Tell a folder and the files in it from others that come in their places later; a link is not followed."""
    paths = [folder] if folder.is_symlink() or not folder.is_dir() else [folder, *folder.iterdir()]
    found: dict[Path, Stamp] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path] = _stamp(path)
    return found


def set_aside(path: Path, judged: Stamp | None) -> Path | None:
    """Rename a damaged file so that it is kept but no longer read; returns its new path.

    judged: the stamp that it had before it was read. If it has gone, or another writer has put a file in its place
    since, that one stays: None.
    """
    n = 1
    while (new := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    try:
        path.rename(new)
    except FileNotFoundError:
        return None
    if _stamp(new) != judged:
        new.rename(path)
        return None
    return new


def _stamp(path: Path) -> Stamp:
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not strict JSON")


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


_UMASK = _umask()
