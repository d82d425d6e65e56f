"""Readers of image files. Each checks what it reads and says in one line what is wrong with which file.

    idx           LeCun, Cortes & Burges's MNIST: magic number, sizes, then one byte per pixel; plain or gzipped
    amat          Larochelle & Murray's binarised MNIST: one image per line, 0 and 1 between blanks; plain or gzipped
    chardata.mat  Burda et al.'s OMNIGLOT: MATLAB arrays of one image per column
    zip           Lake et al.'s OMNIGLOT: a tree of black-and-white PNG files
    bin           CIFAR-10's binary version: a label and 3,072 bytes for each image; plain, or in its archive
    packed        the project's own embedded files: bits in an npz, compressed as xz

No file can make a reader run code: arrays are loaded without pickle and archives are never unpacked to disk.
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hvae_core.data.pixels import Bytes

ROUNDING = 1e-5  # by which a float may miss [0, 1]
MAX_BYTES = 1 << 30
"""Most bytes taken from one compressed file; anything longer is refused instead of filling the memory."""

MAX_PNG_BYTES = 1 << 16
"""Most bytes of one picture in a zip; those of the official files have a few hundred."""

CIFAR_SHAPE = (3, 32, 32)
HIGHEST_LABEL = 9
STROKE_SIDE = 105
"""Height and width of a picture in Lake et al.'s zips."""

UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, MemoryError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)
"""What the libraries raise for a file that is missing, truncated or damaged."""

_IDX_IMAGES = 0x00000803
_STROKE_ENTRY = re.compile(r"[^/]+/[^/]+/character\d+/\d+_\d+\.png")


class DataError(ValueError):
    """A data set that cannot be had or must not be used; one line: the argument or file, what is wrong, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def why(error: BaseException) -> str:
    """Say in a few words what a library found wrong."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:120] or type(error).__name__


def read_bytes(path: Path) -> bytes:
    """Return a file's content, uncompressed if it starts as gzip does (whatever its name is).

    Raises DataError for a file that is missing, not readable, corrupt, or longer than MAX_BYTES.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            content = gzip.GzipFile(fileobj=file).read(MAX_BYTES + 1) if packed else file.read(MAX_BYTES + 1)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read, it is missing, corrupt or truncated ({why(error)})") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: holds more than {MAX_BYTES} bytes, too many for a file of this kind")
    return content


def read_idx(path: Path) -> Bytes:
    """Read idx images, plain or gzipped: uint8 (N, H, W), grey levels 0..255, ink bright.

    Raises DataError unless the file is exactly a header (magic number 2051, N, H, W as big-endian 32-bit numbers) and
    N H W bytes, none of the sizes zero.
    """
    content = read_bytes(path)
    if len(content) < 16:
        raise DataError(f"{path}: truncated, {len(content)} bytes are less than the 16 of an idx header")
    magic, n, height, width = struct.unpack(">4I", content[:16])
    if magic != _IDX_IMAGES:
        raise DataError(f"{path}: not an idx file of images, its magic number is {magic} instead of {_IDX_IMAGES}")
    if 0 in (n, height, width):
        raise DataError(f"{path}: empty, its header says {n} images of {height}x{width}")
    wanted = 16 + n * height * width
    if len(content) != wanted:
        what = "truncated" if len(content) < wanted else "too long"
        raise DataError(f"{path}: {what}, {n} images of {height}x{width} are {wanted} bytes, not {len(content)}")
    return np.frombuffer(content, dtype=np.uint8, offset=16).reshape(n, height, width).copy()


def read_amat(path: Path, pixels: int = 784) -> Bytes:
    """Read binary images as text, plain or gzipped: uint8 (N, pixels) in 0/1.

    Every line holds `pixels` values 0 or 1 between blanks. Raises DataError naming the first line that does not.
    """
    text = read_bytes(path).replace(b"\r\n", b"\n").rstrip() + b"\n"
    if text == b"\n":
        raise DataError(f"{path}: empty, it holds no image")
    if len(text) % (2 * pixels) == 0:  # the usual case: single blanks, nothing at a line's end
        cells = np.frombuffer(text, dtype=np.uint8).reshape(-1, pixels, 2)
        values, blanks = cells[:, :, 0] - np.uint8(ord("0")), cells[:, :, 1]
        if (values <= 1).all() and (blanks[:, :-1] == ord(" ")).all() and (blanks[:, -1] == ord("\n")).all():
            return np.ascontiguousarray(values)
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        row = line.split()
        if len(row) != pixels:
            raise DataError(f"{path}: line {number} holds {len(row)} values instead of {pixels}")
        if not set(row) <= {b"0", b"1"}:
            raise DataError(f"{path}: line {number} holds a value other than 0 and 1")
        rows.append([value == b"1" for value in row])
    return np.array(rows, dtype=np.uint8)


def as_levels(values: NDArray[Any], what: str) -> Bytes:
    """Turn bool, whole numbers in 0..255, or floats in [0, 1] into uint8; floats become the nearest of 0..255."""
    if values.dtype in (np.uint8, np.bool_):
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 255:
            raise DataError(f"{what} holds values from {lowest} to {highest}; whole numbers must lie in 0..255")
        return values.astype(np.uint8)
    if values.dtype.kind != "f":
        raise DataError(f"{what} is {values.dtype}; it must be bool, whole numbers (0..255) or floats in [0, 1]")
    if not np.isfinite(values).all():
        raise DataError(f"{what} holds NaN or infinite values; floats must lie in [0, 1]")
    low, high = float(values.min()), float(values.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise DataError(f"{what} holds values from {low:.9g} to {high:.9g}; floats must lie in [0, 1]")
    return np.asarray(np.rint(values.astype(np.float64).clip(0, 1) * 255).astype(np.uint8))


def read_chardata(path: Path) -> tuple[Bytes, Bytes]:
    """Read Burda et al.'s chardata.mat: upright grey images of train and test, uint8 (N, 784), ink bright.

    The arrays `data` and `testdata` hold one 28x28 image per column, column by column as MATLAB stores matrices, so
    pixel (r, c) is entry 28 c + r: each image is transposed after a row-wise reshape (Burda, Grosse & Salakhutdinov,
    "Importance weighted autoencoders", 2016, do the same). Values in [0, 1] become the nearest of 0..255.

    Raises DataError for a file that is no such thing.
    """
    from scipy.io import loadmat  # only this format needs scipy

    content = read_bytes(path)
    try:
        arrays: Mapping[str, Any] = loadmat(io.BytesIO(content), variable_names=["data", "testdata"])  # type: ignore[arg-type]  # the stub wants a path
    except Exception as error:  # a damaged file surfaces as almost any exception
        raise DataError(f"{path}: cannot be read as a MATLAB 5 file ({why(error)})") from error
    parts = []
    for key in ("data", "testdata"):
        values = arrays.get(key)
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[0] != 784 or values.size == 0:
            shape = getattr(values, "shape", None)
            raise DataError(f"{path}: array {key} must be 784 x N, it is {shape or 'missing'}")
        columns = as_levels(values, f"{path}: array {key}")
        parts.append(np.ascontiguousarray(columns.T.reshape(-1, 28, 28).transpose(0, 2, 1)).reshape(-1, 784))
    return parts[0], parts[1]


def read_strokes(path: Path) -> Bytes:
    """Read one of Lake et al.'s zips: uint8 (N, 105, 105), ink (black in the files) = 1.

    Pictures come in the sorted order of their names, <set>/<alphabet>/character<k>/<id>_<drawer>.png; other entries
    are passed over. Raises DataError for a damaged zip, and for a picture that is damaged, too large, not 105x105 or
    not black and white, naming it.
    """
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = sorted(
                (entry for entry in archive.infolist() if _STROKE_ENTRY.fullmatch(entry.filename)),
                key=lambda entry: entry.filename,
            )
            ink = np.empty((len(entries), STROKE_SIDE, STROKE_SIDE), dtype=np.uint8)
            for image, entry in zip(ink, entries, strict=True):
                if entry.file_size > MAX_PNG_BYTES:
                    raise DataError(f"{path}: {entry.filename} claims {entry.file_size} bytes, too many for a drawing")
                image[:] = _stroke(archive.read(entry), f"{path}: {entry.filename}")
    except DataError:
        raise
    except (*UNREADABLE, RuntimeError) as error:
        raise DataError(f"{path}: not a whole zip file, it is corrupt or truncated ({why(error)})") from error
    if not len(ink):
        raise DataError(f"{path}: holds no drawing named <set>/<alphabet>/character<k>/<id>_<drawer>.png")
    return ink


def _stroke(content: bytes, what: str) -> Bytes:
    """Decode one drawing: uint8 (105, 105), ink = 1."""
    from PIL import Image  # only this format needs Pillow

    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack(">2I", content[16:24])
        if (width, height) != (STROKE_SIDE, STROKE_SIDE):  # refused before anything is decoded
            raise DataError(f"{what} is {height}x{width} instead of {STROKE_SIDE}x{STROKE_SIDE}")
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            levels = np.asarray(picture.convert("L"))
    except (*UNREADABLE, SyntaxError) as error:
        raise DataError(f"{what} is not a readable PNG picture ({why(error)})") from error
    if not np.isin(levels, (0, 255)).all():
        raise DataError(f"{what} is not black and white")
    return np.asarray(levels == 0, dtype=np.uint8)


def read_cifar(content: bytes, what: str) -> Bytes:
    """Read records of CIFAR-10's binary version: uint8 (N, 3, 32, 32), red, green, blue. Labels are checked only."""
    size = 1 + math.prod(CIFAR_SHAPE)
    if not content or len(content) % size:
        raise DataError(f"{what}: truncated or no CIFAR-10 file, {len(content)} bytes are not a number of {size} each")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    if records[:, 0].max() > HIGHEST_LABEL:
        raise DataError(f"{what}: no CIFAR-10 file, it has a label {records[:, 0].max()} above {HIGHEST_LABEL}")
    return np.ascontiguousarray(records[:, 1:]).reshape(-1, *CIFAR_SHAPE)


def read_archive(path: Path, names: Sequence[str]) -> list[bytes]:
    """Read the files of these names out of a tar archive, from whatever folder they are in; raises DataError."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in names and member.isfile() and member.size <= MAX_BYTES:
                    file = archive.extractfile(member)
                    found[name] = b"" if file is None else file.read()
    except UNREADABLE as error:
        raise DataError(f"{path}: not a whole tar file, it is corrupt or truncated ({why(error)})") from error
    for name in names:
        if name not in found:
            raise DataError(f"{path}: holds no {name}")
    return [found[name] for name in names]


def pack(splits: Mapping[str, Bytes], shape: tuple[int, int]) -> bytes:
    """Pack binary images for embedding; `unpack` reverses it. Equal input gives equal bytes for one liblzma.

    `splits` maps train, valid and test to uint8 (N, H*W) in 0/1.
    """
    buffer = io.BytesIO()
    bits = {key: np.packbits(values, axis=1) for key, values in splits.items()}
    np.savez(buffer, shape=np.array(shape, dtype=np.uint16), **bits)  # type: ignore[arg-type]  # the stub's allow_pickle
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def unpack(content: bytes, what: str) -> tuple[dict[str, Bytes], tuple[int, int]]:
    """Undo `pack`: the splits, uint8 (N, H*W) in 0/1, and (H, W). Raises DataError for damaged content."""
    try:
        with np.load(io.BytesIO(lzma.decompress(content)), allow_pickle=False) as archive:
            height, width = (int(side) for side in archive["shape"])
            splits = {
                key: np.unpackbits(archive[key], axis=1, count=height * width) for key in ("train", "valid", "test")
            }
    except UNREADABLE as error:
        raise DataError(f"{what}: the embedded file is damaged, install the package again ({why(error)})") from error
    return splits, (height, width)
