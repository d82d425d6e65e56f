"""Where Ray's own temporary files go: a folder whose path is short enough for its sockets, and that can be written.

A socket's path has at most 107 bytes, of which Ray's names take 64. Schedulers set TMPDIR to long paths, and on a
shared machine /tmp/ray can be another user's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 43  # bytes of the folder's path
OTHERS = ("/tmp", "/var/tmp", "/dev/shm")  # looked at in this order, for a folder of our own below one


@contextmanager
def ray_folder(note: Callable[[str], None]) -> Iterator[str | None]:
    """Yield the folder for Ray to use, None where its own choice will do; one of ours is removed at the end.

    Raises OSError, naming the setting that helps, where there is none.
    """
    asked = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    why = trouble(Path(asked))
    if why is None:
        yield None
        return
    for other in OTHERS:
        try:
            folder = tempfile.mkdtemp(prefix="ray-", dir=other)
        except OSError:
            continue
        note(f"Ray's temporary files go to {folder}: {why}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    raise OSError(f"{why}; set RAY_TMPDIR to a folder of yours whose path has at most {LONGEST - 4} bytes")


def trouble(folder: Path) -> str | None:
    """Say why Ray cannot keep its files in <folder>/ray; None if it can."""
    own = folder / "ray"
    if len(os.fsencode(own)) > LONGEST:
        return f"{own} is too long for a socket's path"
    place = own if own.exists() else folder
    return None if os.access(place, os.W_OK | os.X_OK) else f"{place} cannot be written to"
