"""A user's npz that is no longer where a request found it: results are moved, renamed and copied elsewhere.

The file is looked for by its name beside the results, in them, in the working directory and in the data directory;
what is found there is taken only if its content has the checksum that was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hvae_core.data import DataError, Dataset, load_dataset, own_file


def load_moved(reference: str, binarise: str, checksum: str, root: Path, data_dir: Path | None) -> Dataset | None:
    """Load the npz that has this content, or its null, from one of the places where it may lie; None if none has it."""
    path = own_file(reference)
    if path is None:
        return None
    prefix = reference.removesuffix(str(path))  # null: or nothing
    for place in dict.fromkeys(_places(path, root, data_dir)):
        if place == path or not place.is_file():
            continue
        try:
            found = load_dataset(f"{prefix}{place}", binarise=binarise)
        except DataError:
            continue  # another file of that name
        if found.checksum == checksum:
            return found
    return None


def _places(path: Path, root: Path, data_dir: Path | None) -> Iterator[Path]:
    for folder in (root.parent, root, Path.cwd(), *([data_dir] if data_dir is not None else [])):
        yield folder.absolute() / path.name
