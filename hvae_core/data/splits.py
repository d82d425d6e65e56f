"""How the files of a source become train, validation and test images.

mnist       the training file gives 50,000 and 10,000 images in file order; larochelle's come in three files
omniglot    1,345 images of the training part are held out for validation: for burda those of Burda et al.'s own
            code, for lake a fixed random choice, so that other drawings of the same characters stay in train.
            lake's 105x105 drawings are averaged over 28x28 equal cells
cifar10     a fixed random choice of 5,000 of the 50,000 training images is held out; of a partial set, a tenth
a user's    without valid, a fixed random tenth of train is held out
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from hvae_core.data import formats
from hvae_core.data.formats import DataError
from hvae_core.data.npz import read_npz
from hvae_core.data.pixels import Bytes, area_average, hold_out
from hvae_core.data.sources import Source

NAMES = ("train", "valid", "test")

SIDE = 28
"""Height and width of every known source's images."""

_BURDA_SEED = 123  # of the shuffle in Burda et al.'s code, whose last 1,345 images are their validation set
_AVERAGES_FORMAT = 1  # of the cached averages; raise it when what they hold changes


@dataclass(frozen=True, eq=False)
class Splits:
    """Images train, valid and test, each uint8 (N, D): 0/1 when `binary`, else 0..255.

    `shape` is that of an image: (H, W), or (3, H, W) in colour.
    """

    images: dict[str, Bytes]
    shape: tuple[int, ...]
    binary: bool


def embedded(source: Source) -> Path:
    """Return the path of the file that comes with the package."""
    return Path(str(resources.files("hvae_core") / "_data" / f"{source.name}.npz.xz"))


def read(source: Source, files: Sequence[Path], cache: Path) -> Splits:
    """Read the files of a source, in the order of its table entry.

    `cache` is a directory for what takes long to make; it need be neither there nor writable. Raises DataError for a
    damaged file and for one that does not hold the number of 28x28 images that the source has.
    """
    if source.kind == "colour" or source.counts is None:
        return _colour(source, files)
    n_train, n_valid, n_test = source.counts
    if source.kind == "binary":
        if source.files:
            images = dict(zip(NAMES, (formats.read_amat(file) for file in files), strict=True))
        else:
            files = [embedded(source)] * 3
            images, _ = formats.unpack(formats.read_bytes(files[0]), str(files[0]))
        for file, name, n in zip(files, NAMES, source.counts, strict=True):
            _expect(file, images[name], n)
        return Splits(images, (SIDE, SIDE), binary=True)
    train, test = _grey(source, files, cache)
    _expect(files[0], train, n_train + n_valid)
    _expect(files[-1], test, n_test)
    train, test = train.reshape(len(train), -1), test.reshape(len(test), -1)
    if source.reference == "mnist:grey":
        kept, held = np.arange(n_train), np.arange(n_train, n_train + n_valid)
    elif source.reference == "omniglot:burda":
        order = np.random.RandomState(_BURDA_SEED).permutation(len(train))
        kept, held = np.sort(order[:n_train]), np.sort(order[n_train:])
    else:
        kept, held = hold_out(len(train), n_valid)
    return Splits({"train": train[kept], "valid": train[held], "test": test}, (SIDE, SIDE), binary=False)


def read_own(path: Path) -> Splits:
    """Read a user's npz (see `npz.read_npz`), holding out a tenth of train, at least two, where valid is absent.

    Raises DataError for a file that must not be used, and for fewer than two images to validate or test on: active
    units are a variance over images.
    """
    arrays = read_npz(path)
    train, valid = arrays.train, arrays.valid
    if valid is None:
        if len(train) < 3:
            raise DataError(
                f"{path}: array train holds {len(train)} images and there is no array valid; give three or more"
            )
        train, valid = _without_a_tenth(train)
    images = {"train": train, "valid": valid, "test": arrays.test}
    for key in ("valid", "test"):
        if len(images[key]) < 2:
            raise DataError(f"{path}: array {key} holds one image; give two or more")
    return Splits({key: _flat(values) for key, values in images.items()}, train.shape[1:], arrays.binary)


def _flat(images: Bytes) -> Bytes:
    return images.reshape(len(images), -1)


def _without_a_tenth(images: Bytes) -> tuple[Bytes, Bytes]:
    """Split images into most of them and a fixed random tenth, at least two."""
    kept, held = hold_out(len(images), max(2, len(images) // 10))
    return images[kept], images[held]


def _colour(source: Source, files: Sequence[Path]) -> Splits:
    """Read CIFAR-10's files, or the archive that holds them."""
    names = [file.name for file in source.files]
    packed = source.archive is not None and len(files) == 1
    contents = formats.read_archive(files[0], names) if packed else [formats.read_bytes(file) for file in files]
    where = [f"{files[0]}: {name}" for name in names] if packed else [str(file) for file in files]
    parts = [formats.read_cifar(content, what) for content, what in zip(contents, where, strict=True)]
    if source.counts is None:
        for part, what in zip(parts, where, strict=True):
            if len(part) < 3:
                raise DataError(f"{what}: holds {len(part)} images; give three or more")
        train, valid = _without_a_tenth(np.concatenate(parts[:-1]))
    else:
        total, each = sum(source.counts[:2]), source.counts[2]
        for part, what in zip(parts, where, strict=True):
            if len(part) != each:
                raise DataError(
                    f"{what}: holds {len(part):,} images; the official file holds {each:,}. A part of the data set "
                    f"trains under its own name, {source.name}:partial"
                )
        kept, held = hold_out(total, source.counts[1])
        whole = np.concatenate(parts[:-1])
        train, valid = whole[kept], whole[held]
    images = {"train": train, "valid": valid, "test": parts[-1]}
    return Splits({key: _flat(values) for key, values in images.items()}, train.shape[1:], binary=False)


def _expect(file: Path, images: Bytes, n: int) -> None:
    """Raise DataError unless there are n images of 28x28, as rows or as squares."""
    if len(images) != n or images.shape[1:] not in ((SIDE * SIDE,), (SIDE, SIDE)):
        size = "x".join(map(str, images.shape[1:]))
        raise DataError(f"{file}: holds {len(images)} images of {size}; the official file holds {n} of {SIDE}x{SIDE}")


def _grey(source: Source, files: Sequence[Path], cache: Path) -> tuple[Bytes, Bytes]:
    """Read the grey images of train (with valid) and test, (N, H, W) or (N, H*W)."""
    match source.reference:
        case "mnist:grey":
            return formats.read_idx(files[0]), formats.read_idx(files[1])
        case "omniglot:burda":
            return formats.read_chardata(files[0])
        case _:
            train, test = (_averages(file, cache) for file in files)
            return train, test


def _averages(file: Path, cache: Path) -> Bytes:
    """Return the area averages of one of Lake et al.'s zips, uint8 (N, 28, 28), from the cache where they are there.

    The cached file's name carries the zip's sha256 and the format of the averages. A damaged one is made again, and
    a cache that cannot be written is done without.
    """
    digest = hashlib.sha256(formats.read_bytes(file)).hexdigest()
    kept = cache / "averages" / f"strokes-v{_AVERAGES_FORMAT}-{SIDE}-{digest}.npz"
    with contextlib.suppress(*formats.UNREADABLE, IndexError), kept.open("rb") as stored:
        values = np.load(stored, allow_pickle=False)["grey"]
        if values.dtype == np.uint8 and values.ndim == 3 and values.shape[1:] == (SIDE, SIDE):
            return np.asarray(values)
    values = area_average(formats.read_strokes(file), SIDE)
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as part:
            try:
                np.savez_compressed(part, grey=values)
                part.close()
                os.replace(part.name, kept)  # noqa: PTH105  # one atomic step
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    return values
