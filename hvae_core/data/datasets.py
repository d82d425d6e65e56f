"""A data set: binary, grey or colour images with a fixed split, found by name and known by the checksum of its content.

A reference is `name`, `name:source`, a path ending in .npz, or `null:` before one of these (see `null`). Files are
looked for in the data directory given, in HVAE_DATA_DIR, and in the user's cache; only then are they downloaded.

    static    each image is binary, by one fixed Bernoulli draw where the source is grey (see `pixels`)
    dynamic   train stays grey, for a fresh draw at every showing; valid and test are the fixed draw all the same
    none      the levels 0..255 themselves, as a likelihood over 256 levels wants them. Images in colour are never
              binarised: static means none for them
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hvae_core.data import null, sources, splits
from hvae_core.data.formats import DataError
from hvae_core.data.pixels import TEST, TRAIN, VALID, Bytes, fixed_draw
from hvae_core.data.sources import Source
from hvae_core.image import ImageSpec

BINARISE = ("static", "dynamic", "none")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of one resolved source.

    `train`, `valid` and `test` are uint8 (N, C, H, W), ink bright, with the levels of `image`: 0/1 when they are
    binarised, except that `train` is grey 0..255 when `binarise` is dynamic; 0..255 when it is none. `reference` is
    what loads exactly these images again; `checksum` is the sha256 of the content.
    """

    name: str
    source: str
    reference: str
    binarise: str
    image: ImageSpec
    train: Bytes
    valid: Bytes
    test: Bytes
    checksum: str

    @classmethod
    def of(
        cls,
        *,
        name: str,
        source: str,
        reference: str,
        shape: tuple[int, ...],
        images: Mapping[str, Bytes],
        binarise: str = "static",
    ) -> Dataset:
        """Build a data set from its splits train, valid and test, each (N, ...), with the checksum of their content.

        shape is (H, W), or (C, H, W) for images of several channels.
        """
        digest = checksum(binarise, shape, images)
        channels, height, width = (1, *shape) if len(shape) == 2 else shape
        image = ImageSpec((channels, height, width), 256 if binarise == "none" else 2)
        train, valid, test = (images[key].reshape(-1, *image.shape) for key in splits.NAMES)
        return cls(name, source, reference, binarise, image, train, valid, test, digest)

    @property
    def pixel_mean(self) -> NDArray[np.float64]:
        """Mean of `train`, float64 (C, H, W) in [0, 1], 1 being its largest possible value."""
        total = self.train.sum(axis=0, dtype=np.int64)
        return np.asarray(total / (len(self.train) * (1.0 if self.binarise == "static" else 255.0)))

    @property
    def pixel_std(self) -> NDArray[np.float64]:
        """Standard deviation of the images, in the same units and shape; that of bits follows from their mean."""
        mean = self.pixel_mean
        if self.image.levels == 2:
            return np.asarray(np.sqrt(mean * (1 - mean)))
        square = sum(np.square(part, dtype=np.int64).sum(axis=0) for part in np.array_split(self.train, 100))
        return np.asarray(np.sqrt(np.maximum(square / (len(self.train) * 255.0**2) - mean**2, 0)))


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a source without loading it.

    `found` says where it is, None when it would have to be fetched; `counts` are the images of train, valid, test,
    None where the files may hold any number; `kind` is binary, grey or colour.
    """

    reference: str
    found: str | None
    how: str
    counts: tuple[int, int, int] | None
    kind: str
    licence: str


def checksum(binarise: str, shape: tuple[int, ...], images: Mapping[str, Bytes]) -> str:
    """Return the sha256 (64 hex digits) of mode, image shape and, per split, name, number of images and bytes."""
    digest = hashlib.sha256(f"images 1 {binarise} {'x'.join(map(str, shape))}".encode())
    for key in ("train", "valid", "test"):
        digest.update(f" {key} {len(images[key])} ".encode())
        digest.update(np.ascontiguousarray(images[key], dtype=np.uint8).data)
    return digest.hexdigest()


def load_dataset(
    reference: str, *, binarise: str = "static", data_dir: Path | None = None, download: bool = True
) -> Dataset:
    """Load a data set by reference: `mnist`, `omniglot:lake`, `path/to/images.npz`, `null:mnist`, ...

    A bare name takes its first source that is found locally, then the first that can be downloaded into the cache.
    Dynamic binarisation and none need grey levels: a bare name then means a source that has them (mnist means
    mnist:grey).

    Raises DataError, in one line, for an unknown reference or mode, a `data_dir` that is no directory, files that
    cannot be had, and files that are damaged or not what they should be.
    """
    if binarise not in BINARISE:
        raise DataError(f"binarise: {binarise!r} is not allowed; it must be static, dynamic or none")
    if data_dir is not None:
        data_dir = sources.directory("data_dir", data_dir)
    if (base := null.base_of(reference)) is not None:
        return _null(load_dataset(base, binarise=binarise, data_dir=data_dir, download=download))
    if _is_npz(reference):
        path = _npz_path(reference)
        return _treated(path.stem, "npz", str(path), splits.read_own(path), binarise)
    options = sources.candidates(reference, binarise)
    source, files = _resolve(reference, options, data_dir, download)
    return _treated(source.name, source.source, source.reference, splits.read(source, files, _cache_dir()), binarise)


def list_datasets(data_dir: Path | None = None) -> list[DatasetInfo]:
    """List every known source and where it was found. Raises DataError when `data_dir` is no directory."""
    path = _search_path(data_dir)
    infos = []
    for source in sources.SOURCES.values():
        files = _found(source, path)
        places = dict.fromkeys(str(file.parent) for file in files if file is not None)
        found = ", ".join(places) if None not in files else None
        infos.append(
            DatasetInfo(
                source.reference,
                found if source.files else "embedded",
                source.how,
                source.counts,
                source.kind,
                source.licence,
            )
        )
    return infos


def fetch_dataset(reference: str, data_dir: Path | None = None) -> tuple[Path, ...]:
    """Bring a data set into <data_dir>/<name>, from where its files lie or by download; returns where they lie now.

    Without data_dir they stay where they are found, and go into the cache if they are downloaded.

    Raises DataError for an unknown reference and for files that cannot be had.
    """
    if (base := null.base_of(reference)) is not None:
        return fetch_dataset(base, data_dir)
    if _is_npz(reference):
        return (_npz_path(reference),)
    source, files = _resolve(reference, sources.candidates(reference, "static"), data_dir, True, into=data_dir)
    if data_dir is not None:
        files = [_copied(file, sources.expanded(data_dir), source.name) for file in files]
    return tuple(files) if source.files else (splits.embedded(source),)


def _null(data: Dataset) -> Dataset:
    """Return the null of a data set."""
    channels, *sides = data.image.shape
    keys = {"train": TRAIN, "valid": VALID, "test": TEST}
    return Dataset.of(
        name=f"{null.PREFIX}{data.name}",
        source=data.source,
        reference=f"{null.PREFIX}{data.reference}",
        shape=(channels, *sides) if channels > 1 else tuple(sides),
        images={name: null.shuffled(getattr(data, name), key) for name, key in keys.items()},
        binarise=data.binarise,
    )


def _copied(file: Path, base: Path, folder: str) -> Path:
    """Copy a file into <base>/<folder>, unless it is found in base as it is; raises DataError."""
    if sources.find_file([base], folder, file.name) == file:
        return file
    copy = base / folder / file.name
    part = copy.with_name(f".{copy.name}.{os.getpid()}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, part)
        part.replace(copy)
    except OSError as error:
        raise DataError(f"data_dir: {file} could not be copied to {copy.parent}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return copy


def _cache_dir() -> Path:
    from hvae_core.data.download import cache_dir

    return cache_dir()


def _search_path(data_dir: Path | None) -> tuple[Path, ...]:
    return sources.search_path(data_dir, _cache_dir())


def _resolve(
    reference: str, options: tuple[Source, ...], data_dir: Path | None, download: bool, into: Path | None = None
) -> tuple[Source, list[Path]]:
    """Return the first source whose files are all there, else the first that can be downloaded, and its files."""
    if not options[0].files:
        return options[0], []
    path = _search_path(data_dir)
    found = {source: _found(source, path) for source in options}
    for source, files in found.items():
        whole = [file for file in files if file is not None]
        if len(whole) == len(files):
            return source, whole
    for source, files in found.items():
        if download and source.downloadable:
            from hvae_core.data.download import download as fetch

            target = (path[-1] if into is None else sources.expanded(into)) / source.name
            if source.archive is not None:
                return source, [fetch(source, source.archive, target)]
            pairs = zip(source.files, files, strict=True)
            return source, [file or fetch(source, wanted, target) for wanted, file in pairs]
    raise DataError(sources.missing(reference, options, path))


def _found(source: Source, path: tuple[Path, ...]) -> list[Path | None]:
    """Return where each file of a source lies, None where it does not; or its archive, alone, if not all do."""
    files = [sources.find_file(path, source.name, file.name) for file in source.files]
    if None in files and source.archive is not None:
        archive = sources.find_file(path, source.name, source.archive.name)
        return files if archive is None else [archive]
    return files


def own_file(reference: str) -> Path | None:
    """Return the path of the npz that a reference, or the data set it is the null of, names; None if it names none."""
    named = reference.removeprefix(null.PREFIX)
    return Path(named) if _is_npz(named) else None


def _is_npz(reference: str) -> bool:
    return reference.lower().endswith(".npz")


def _npz_path(reference: str) -> Path:
    """Return the absolute path of a user's npz; raises DataError when it is not a file."""
    path = sources.expanded(Path(reference)).absolute()
    if not sources.is_file(path):
        raise DataError(f"data set {reference!r}: there is no such file; {sources.offline()}")
    return path


def _treated(name: str, source: str, reference: str, read: splits.Splits, binarise: str) -> Dataset:
    """Binarise what was read, as far as it is to be; raises DataError where it has no levels for that."""
    if read.binary and binarise != "static":
        raise DataError(f"binarise: {reference} holds nothing but 0 and 1, so {binarise!r} is not allowed; use static")
    images = read.images
    if not read.binary:
        if len(read.shape) == 3:
            if binarise == "dynamic":
                raise DataError(f"binarise: {reference} is in colour, so 'dynamic' is not allowed; use none")
            binarise = "none"
        images = _draw(images, binarise)
    return Dataset.of(name=name, source=source, reference=reference, shape=read.shape, images=images, binarise=binarise)


def _draw(grey: Mapping[str, Bytes], binarise: str) -> dict[str, Bytes]:
    """Binarise grey splits by the fixed draws: all of them, or (dynamic) all but train, or none."""
    if binarise == "none":
        return {key: np.ascontiguousarray(grey[key]) for key in splits.NAMES}
    drawn = {key: fixed_draw(grey[key], stream) for key, stream in (("valid", VALID), ("test", TEST))}
    drawn["train"] = np.ascontiguousarray(grey["train"]) if binarise == "dynamic" else fixed_draw(grey["train"], TRAIN)
    return drawn
