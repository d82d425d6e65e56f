"""A user's own images: an npz of arrays train, test and perhaps valid, loaded without pickle."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hvae_core.data.formats import UNREADABLE, DataError, as_levels, why
from hvae_core.data.pixels import Bytes

MOST_NAMED = 8  # arrays of a file
ARRAYS = {  # of an npz, the first that is there: ours, Keras', MedMNIST's and what others write
    "train": ("train", "x_train", "X_train", "train_images", "train_x"),
    "valid": ("valid", "val", "x_val", "x_valid", "X_val", "X_valid", "val_images", "valid_images", "validation"),
    "test": ("test", "x_test", "X_test", "test_images", "test_x"),
}
KINDS = {"b": "bool", "i": "whole numbers", "u": "whole numbers", "f": "floats"}
SCALES_APART = 8  # the largest values of two splits of one data set are never that far apart


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a user's npz holds: uint8 images (N, H, W) or (N, 3, H, W); 0/1 when `binary`, else 0..255.

    `valid` may be absent.
    """

    train: Bytes
    valid: Bytes | None
    test: Bytes
    binary: bool


def read_npz(path: Path) -> Arrays:
    """Read a user's npz: arrays train, test and perhaps valid, ink bright, or their names in other collections.

    Each is (N, H, W), (N, H, W, 1), (N, 1, H, W), or (N, H^2) for square images; in colour (N, H, W, 3) or
    (N, 3, H, W). All are of one kind: bool, whole numbers in 0..255 or floats in [0, 1]. They are binary when nothing
    but 0 and 1 occurs in any of them; other floats become the nearest of 0..255. Further arrays, such as labels, are
    passed over.

    Raises DataError for a damaged file, and for an array that is missing, pickled, empty, of another kind, with other
    values, of another shape, or all of one value.
    """
    parts: dict[str, NDArray[Any]] = {}
    try:
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY" and not zipfile.is_zipfile(file):
                raise DataError(f"{path}: is no npz file, or a damaged one")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path}: is a single array, not an npz of arrays train, test and perhaps valid")
            there = list(archive.files)
            chosen = {key: next((name for name in names if name in there), None) for key, names in ARRAYS.items()}
            parts = {key: archive[name] for key, name in chosen.items() if name is not None}
    except DataError:
        raise
    except (*UNREADABLE, RuntimeError, SyntaxError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read as an npz without pickled objects ({why(error)})") from error
    for key in ("train", "test"):
        if key not in parts:
            names = ", ".join(map(repr, there[:MOST_NAMED])) + (", ..." if len(there) > MOST_NAMED else "")
            raise DataError(
                f"{path}: array {key} is missing; an npz holds train, test and perhaps valid (or x_train, train_images "
                f"...), this one holds {names or 'nothing'}"
            )
    images = {key: _images(values, f"{path}: array {key}") for key, values in parts.items()}
    shapes = {key: "x".join(map(str, values.shape[1:])) for key, values in images.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: images differ in shape, {shapes}; all arrays must hold the same")
    grey = {key: as_levels(values, f"{path}: array {key}") for key, values in images.items()}
    kinds = {key: KINDS[values.dtype.kind] for key, values in images.items()}
    if len(set(kinds.values())) > 1:
        raise DataError(f"{path}: arrays differ in kind, {kinds}; all must be bool, all whole numbers or all floats")
    if grey["train"].min() == grey["train"].max():
        raise DataError(f"{path}: every pixel of array train is the same, there is nothing to learn")
    highest = {key: int(values.max()) for key, values in grey.items()}
    if max(highest.values()) > max(1, SCALES_APART * min(highest.values())):
        found = ", ".join(f"{key} up to {level}" for key, level in highest.items())
        raise DataError(f"{path}: arrays are on different scales, of 255 levels {found}; all must use the same")
    binary = all(bool(((values == 0) | (values == 1)).all()) for values in images.values())
    if binary:
        grey = {key: (values > 0).astype(np.uint8) for key, values in grey.items()}
    return Arrays(grey["train"], grey.get("valid"), grey["test"], binary)


def _images(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Bring images to (N, H, W) or (N, 3, H, W): without a channel axis of one, and square ones out of rows."""
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    elif values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and math.isqrt(values.shape[1]) ** 2 == values.shape[1] > 0:
        values = values.reshape(len(values), math.isqrt(values.shape[1]), -1)
    elif values.ndim == 4 and (values.shape[1] == 3) != (values.shape[-1] == 3):
        values = values if values.shape[1] == 3 else np.moveaxis(values, -1, 1)
    if values.ndim != 3 and not (values.ndim == 4 and values.shape[1] == 3 != values.shape[-1]):
        raise DataError(
            f"{what} has shape {values.shape}; it must be (N, H, W), (N, H, W, 1), (N, 1, H, W), (N, H*H), or in "
            "colour (N, H, W, 3) or (N, 3, H, W)"
        )
    if values.size == 0:
        raise DataError(f"{what} is empty, its shape is {values.shape}")
    return values
