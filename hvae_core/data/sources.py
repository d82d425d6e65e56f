"""The table of known data sets, and where their files are looked for.

A data set may have several sources: files of different origin under one name, such as omniglot:burda and
omniglot:lake. The images differ between them, so results of two sources are never the same experiment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hvae_core.data.formats import DataError

ENV_DIR = "HVAE_DATA_DIR"

FOLDERS = {  # where others put the same files: torchvision, and the archive of CIFAR-10 when it is unpacked
    "mnist": "MNIST/raw",
    "omniglot": "omniglot-py",
    "cifar10": "cifar-10-batches-bin",
}

_MNIST_LICENCE = "CC BY-SA 3.0 (LeCun, Cortes & Burges)"


Kind = Literal["binary", "grey", "colour"]


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, with the address it is downloaded from and the sha256 of what comes from there.

    Both are None where no trustworthy hash is public: that file is never downloaded.
    """

    name: str
    url: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """One origin of one data set: its split sizes, files, and what a user is told about it.

    `counts` are the images of train, valid and test, None where the files may hold any number. `kind` tells what a
    pixel is: a bit, a grey level to binarise anew, or a colour. `homepage` is where the files are to be had by hand,
    where that is not the folder they are downloaded from. `archive` holds all files and serves in their place. A
    `partial` source is never meant by the bare name.
    """

    name: str
    source: str
    counts: tuple[int, int, int] | None
    kind: Kind
    licence: str
    files: tuple[SourceFile, ...] = ()
    homepage: str = ""
    archive: SourceFile | None = None
    partial: bool = False

    @property
    def reference(self) -> str:
        """`name:source`."""
        return f"{self.name}:{self.source}"

    @property
    def downloadable(self) -> bool:
        """Whether there are files, and every one has a public hash to check a download by."""
        return bool(self.files) and all(file.url and file.sha256 for file in self.to_download)

    @property
    def to_download(self) -> tuple[SourceFile, ...]:
        """What is downloaded: the archive, or the files."""
        return self.files if self.archive is None else (self.archive,)

    @property
    def how(self) -> str:
        """How the images are to be had, in a few words."""
        if not self.files:
            return "comes with the package"
        if self.partial:
            return "the same files with some of the images, for development"
        by_hand = self.homepage or f"{self.to_download[0].url}".rpartition("/")[0] + "/"
        return f"hvae-sweep data fetch {self.reference}, or {by_hand}" if self.downloadable else f"from {by_hand}"


_CVDF = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_AMAT = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python/"
_BURDA = "https://github.com/yburda/iwae/tree/master/datasets/OMNIGLOT"
_DEJAVU = "drawn from the DejaVu fonts (free to use and embed)"
_CIFAR_LICENCE = "no licence stated (Krizhevsky 2009)"
_OMNIGLOT_LICENCE = "MIT (Lake, Salakhutdinov & Tenenbaum)"


def _file(name: str, folder: str, sha256: str, suffix: str = "") -> SourceFile:
    return SourceFile(name, f"{folder}{name}{suffix}", sha256)


# The hashes are those of TensorFlow Datasets' checksum lists.
_TABLE = (
    Source("mnist", "embedded", (50_000, 10_000, 10_000), "binary", _MNIST_LICENCE),
    Source(
        "mnist",
        "grey",
        (50_000, 10_000, 10_000),
        "grey",
        _MNIST_LICENCE,
        (
            _file(
                "train-images-idx3-ubyte",
                _CVDF,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ".gz",
            ),
            _file(
                "t10k-images-idx3-ubyte",
                _CVDF,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ".gz",
            ),
        ),
    ),
    Source(
        "mnist",
        "larochelle",
        (50_000, 10_000, 10_000),
        "binary",
        _MNIST_LICENCE,
        (
            _file(
                "binarized_mnist_train.amat",
                _AMAT,
                "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            ),
            _file(
                "binarized_mnist_valid.amat",
                _AMAT,
                "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            ),
            _file(
                "binarized_mnist_test.amat",
                _AMAT,
                "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            ),
        ),
    ),
    Source("glyphs", "embedded", (20_000, 2_000, 4_000), "binary", _DEJAVU),
    Source(
        "omniglot", "burda", (23_000, 1_345, 8_070), "grey", _OMNIGLOT_LICENCE, (SourceFile("chardata.mat"),), _BURDA
    ),
    Source(
        "omniglot",
        "lake",
        (17_935, 1_345, 13_180),
        "grey",
        _OMNIGLOT_LICENCE,
        (
            _file(
                "images_background.zip",
                _LAKE,
                "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
            ),
            _file(
                "images_evaluation.zip",
                _LAKE,
                "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
            ),
        ),
        "https://github.com/brendenlake/omniglot/tree/master/python",
    ),
    Source(
        "cifar10",
        "binary",
        (45_000, 5_000, 10_000),
        "colour",
        _CIFAR_LICENCE,
        tuple(SourceFile(f"{name}.bin") for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")),
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        _file(
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    Source(
        "cifar10",
        "partial",
        None,
        "colour",
        _CIFAR_LICENCE,
        (SourceFile("data_batch_1.bin"), SourceFile("test_batch.bin")),
        partial=True,
    ),
)

SOURCES: dict[str, Source] = {source.reference: source for source in _TABLE}
"""Every known source by its `name:source`; the first of a name is preferred where only the name is given."""


def offline() -> str:
    """Say which data sets need neither files nor network."""
    return "without any file there are " + " and ".join(
        dict.fromkeys(source.name for source in SOURCES.values() if not source.files)
    )


def allowed() -> str:
    """List what a data set reference may be."""
    names = dict.fromkeys(source.name for source in SOURCES.values())
    return ", ".join([*names, *SOURCES]) + ", a path ending in .npz, or null: before one of these"


def candidates(reference: str, binarise: str) -> tuple[Source, ...]:
    """Return the sources that `name` or `name:source` may mean, best first.

    Unless `binarise` is static, a name means only those of its sources that have levels for it. Raises DataError for
    an unknown reference, and for a source without them.
    """
    name = reference.partition(":")[0]
    if reference in SOURCES:
        found = [SOURCES[reference]]
    else:
        found = [source for source in SOURCES.values() if source.name == reference and not source.partial]
    if not found:
        raise DataError(f"data set {reference!r} is unknown; it must be one of {allowed()}")
    if binarise == "static":
        return tuple(found[:1] if not found[0].files else found)
    kinds = ("grey",) if binarise == "dynamic" else ("grey", "colour")
    fit = tuple(source for source in found if source.kind in kinds)
    if not fit:
        others = [source.reference for source in SOURCES.values() if source.name == name and source.kind in kinds]
        use = others or [source.reference for source in SOURCES.values() if source.kind == "grey"]
        fitting = "none" if found[0].kind == "colour" else "static"
        raise DataError(
            f"binarise: {reference} has no grey levels, so {binarise!r} is not allowed; "
            f"use {fitting}, or {' or '.join(use)}"
        )
    return fit


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # a name too long, a folder that must not be looked into
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file that may be looked at."""
    return _is(Path.is_file, path)


def expanded(path: Path) -> Path:
    """Expand a leading ~ where that names a home directory."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def directory(argument: str, given: Path) -> Path:
    """Return the directory given as `argument`; raises DataError when there is none."""
    found = expanded(given)
    if not _is(Path.is_dir, found):
        raise DataError(f"{argument}: {str(given)!r} is not a directory; {offline()}")
    return found


def search_path(data_dir: Path | None, cache: Path) -> tuple[Path, ...]:
    """Return the directories searched for files, in order: `data_dir`, HVAE_DATA_DIR, the cache.

    Raises DataError when the first of them that is given is not a directory. Beside a `data_dir` the variable may
    mean nothing: a worker in another folder reads a relative one otherwise.
    """
    env = os.environ.get(ENV_DIR, "")
    if data_dir is None:
        return (directory(ENV_DIR, Path(env)), cache) if env else (cache,)
    second = (expanded(Path(env)),) if env else ()
    return (directory("data_dir", data_dir), *second, cache)


def find_file(path: Iterable[Path], folder: str, name: str) -> Path | None:
    """Return the first of <dir>/<folder>/<name> and <dir>/<name> that is there, plain or with .gz; else None.

    Last in each directory is the folder in which others keep the same files.
    """
    folders = [folder, "", *([FOLDERS[folder]] if folder in FOLDERS else [])]
    for place in (base / inner for base in path for inner in folders):
        for candidate in (place / name, place / f"{name}.gz"):
            if is_file(candidate):
                return candidate
    return None


def missing(reference: str, options: Iterable[Source], path: Iterable[Path]) -> str:
    """Say what was looked for and where, where to get it, where to put it, and what works without it."""
    wanted = " or ".join(
        f"{' and '.join(file.name for file in source.files)} ({source.reference}: {source.how})" for source in options
    )
    folder = reference.partition(":")[0]
    return (
        f"{reference}: not found in {', '.join(map(str, path))}: {wanted}; put it into DIR/{folder}/ and give DIR as "
        f"--data-dir or {ENV_DIR}; {offline()}"
    )
