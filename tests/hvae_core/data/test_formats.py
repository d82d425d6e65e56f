"""Readers: what is written is read back, and every kind of damage is named in one line."""

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from hvae_core.data import formats
from hvae_core.data.formats import (
    DataError,
    pack,
    read_amat,
    read_bytes,
    read_chardata,
    read_idx,
    read_strokes,
    unpack,
)
from hvae_core.data.npz import read_npz

Any8 = NDArray[np.uint8]
STROKE = "images_background/Latin/character01/0001_{:02}.png"


def idx(images: Any8) -> bytes:
    return struct.pack(">4I", 2051, *images.shape) + images.tobytes()


def grey(*shape: int) -> Any8:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def stroke(ink: Any8) -> bytes:
    return png(Image.fromarray(((1 - ink) * 255).astype(np.uint8)).convert("1"))


def zipped(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npz(**values: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


def mat(**values: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, values)  # type: ignore[arg-type]  # the stub wants a path
    return buffer.getvalue()


INK = grey(105, 105) // 128


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6)), st.booleans())
@settings(deadline=None)
def test_idx_comes_back(images: Any8, compressed: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        path.write_bytes(gzip.compress(idx(images)) if compressed else idx(images))
        assert np.array_equal(read_idx(path), images)


@pytest.mark.parametrize(
    "text",
    [
        "0 1 1\n1 0 0\n",
        "0 1 1\n1 0 0",
        "0 1 1 \n1 0 0 \n",
        "0 1 1\r\n1 0 0\r\n",
        "0  1\t1\n 1 0 0\n\n",
    ],
    ids=["official", "no last newline", "trailing blanks", "windows", "odd blanks"],
)
@pytest.mark.parametrize("write", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_amat_is_read_whatever_its_blanks(tmp_path: Path, text: str, write: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.amat"
    path.write_bytes(write(text.encode()))
    values = read_amat(path, pixels=3)
    assert values.dtype == np.uint8
    assert values.tolist() == [[0, 1, 1], [1, 0, 0]]


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(784)), elements=st.integers(0, 1)))
@settings(deadline=None)
def test_amat_comes_back(images: Any8) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.amat"
        path.write_text("".join(" ".join(map(str, row)) + "\n" for row in images))
        assert np.array_equal(read_amat(path), images)


def test_chardata_columns_become_upright_images(tmp_path: Path) -> None:
    """MATLAB stores a 28x28 matrix column by column, which is how the columns of the file were made."""
    upright = np.zeros((3, 28, 28))
    upright[0, 2, 5:20] = 1.0  # a horizontal bar near the top
    upright[1] = np.random.default_rng(0).integers(0, 256, (28, 28)) / 255
    columns = np.stack([image.flatten(order="F") for image in upright], axis=1)
    path = tmp_path / "chardata.mat"
    path.write_bytes(mat(data=columns, testdata=columns[:, :1], target=np.eye(3)))
    train, test = read_chardata(path)
    assert np.array_equal(train.reshape(3, 28, 28), np.rint(upright * 255))
    assert np.array_equal(test, train[:1])
    assert train[0].reshape(28, 28)[2].sum() == 15 * 255


def test_chardata_is_read_as_burda_et_al_do(tmp_path: Path) -> None:
    columns = np.random.default_rng(0).integers(0, 256, (784, 5)) / 255
    path = tmp_path / "chardata.mat"
    path.write_bytes(mat(data=columns, testdata=columns))
    theirs = columns.T.reshape(-1, 28, 28).reshape((-1, 784), order="F")
    assert np.array_equal(read_chardata(path)[0] / 255, theirs)


def test_strokes_come_in_order_of_name_with_ink_one(tmp_path: Path) -> None:
    other = np.roll(INK, 1)
    path = tmp_path / "images_background.zip"
    path.write_bytes(
        zipped(
            **{
                "images_background/Latin/character02/0002_01.png": stroke(other),
                "images_background/": b"",
                "images_background/Latin/character01/0001_02.png": stroke(INK),
                "__MACOSX/images_background/Latin/character01/._0001_01.png": b"junk",
            }
        )
    )
    assert np.array_equal(read_strokes(path), np.stack((INK, other)))
    path.write_bytes(zipped(**{STROKE.format(1): png(Image.fromarray((1 - INK) * 255))}))  # 8-bit grey, black and white
    assert np.array_equal(read_strokes(path), INK[None])


def test_zip_entries_with_tricky_names_touch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in" / "images_background.zip"
    path.parent.mkdir()
    names = ["../../evil/character01/0001_01.png", "/etc/x/character01/0001_02.png", STROKE.format(1)]
    path.write_bytes(zipped(**dict.fromkeys(names, stroke(INK))))
    read_strokes(path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(15)), elements=st.integers(0, 1)))
@settings(deadline=None, max_examples=15)  # a large dictionary is set up each time
def test_packed_images_come_back(images: Any8) -> None:
    splits = {"train": images, "valid": images[:1], "test": 1 - images}
    content = pack(splits, (3, 5))
    assert content == pack(splits, (3, 5))
    unpacked, shape = unpack(content, "here")
    assert shape == (3, 5)
    assert unpacked.keys() == splits.keys()
    assert all(np.array_equal(unpacked[key], splits[key]) for key in splits)


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(100_000)))
    with pytest.raises(DataError, match=r"bomb\.gz: holds more than 1000 bytes"):
        read_bytes(path)


def lying_png(width: int, height: int) -> bytes:
    """Return a valid PNG whose header claims another size."""
    content = bytearray(stroke(INK))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


GOOD_IDX = idx(grey(3, 4, 4))


def marked(content: bytes, at: int, value: int) -> bytes:
    """Set a byte of a zip's first entry, `at` in its own header, and two further on in the directory's copy of it."""
    changed = bytearray(content)
    changed[at] = changed[content.index(b"PK\x01\x02") + at + 2] = value
    return bytes(changed)


GOOD_ZIP = zipped(**{STROKE.format(1): stroke(INK)})
HALF = np.full((784, 2), 0.5)

BAD: dict[str, tuple[Callable[[Path], object], bytes, str]] = {
    "idx empty": (read_idx, b"", "truncated, 0 bytes"),
    "idx header only in part": (read_idx, GOOD_IDX[:10], "truncated, 10 bytes"),
    "idx truncated": (read_idx, GOOD_IDX[:-1], "truncated, 3 images of 4x4 are 64 bytes, not 63"),
    "idx too long": (read_idx, GOOD_IDX + b"x", "too long"),
    "idx of labels": (read_idx, struct.pack(">2I", 2049, 8) + bytes(8), "magic number is 2049"),
    "idx without images": (read_idx, struct.pack(">4I", 2051, 0, 28, 28), "empty, its header says 0 images"),
    "idx of a web page": (read_idx, b"<!DOCTYPE html><html>not found</html>", "not an idx file"),
    "gzip truncated": (read_idx, gzip.compress(GOOD_IDX)[:-9], "corrupt or truncated"),
    "gzip with a flipped bit": (read_idx, gzip.compress(GOOD_IDX)[:-8] + bytes(8), "corrupt or truncated"),
    "amat empty": (read_amat, b"\n\n", "empty"),
    "amat with a short line": (read_amat, b"0 " * 783 + b"0\n" + b"1 " * 782 + b"0\n", "line 2 holds 783 values"),
    "amat with a two": (read_amat, b"0 " * 783 + b"2\n", "line 1 holds a value other than 0 and 1"),
    "amat with a grey value": (read_amat, b"0 " * 783 + b"0.5\n", "line 1 holds a value other than 0 and 1"),
    "amat without blanks": (read_amat, b"00" * 783 + b"0\n", "line 1 holds 1 values"),
    "amat cut in a line": (read_amat, (b"0 " * 783 + b"0\n") * 2 + b"0 1 0", "line 3 holds 3 values"),
    "mat is no MATLAB file": (read_chardata, b"not matlab" * 100, "MATLAB 5"),
    "mat truncated": (read_chardata, mat(data=HALF, testdata=HALF)[:-400], "MATLAB 5"),
    "mat without testdata": (read_chardata, mat(data=HALF), "testdata must be 784 x N, it is missing"),
    "mat transposed": (read_chardata, mat(data=HALF.T, testdata=HALF), r"data must be 784 x N, it is (2, 784)"),
    "mat out of range": (read_chardata, mat(data=HALF * 255, testdata=HALF), "values from 127.5 to 127.5"),
    "mat with NaN": (read_chardata, mat(data=HALF, testdata=HALF * np.nan), "testdata holds NaN"),
    "zip is no zip": (read_strokes, b"PK but no more", "not a whole zip file"),
    "zip truncated": (read_strokes, GOOD_ZIP[:-30], "not a whole zip file"),
    "zip damaged inside": (read_strokes, GOOD_ZIP[:90] + b"\0\0\0\0" + GOOD_ZIP[94:], "corrupt or truncated"),
    "zip with a password": (read_strokes, marked(GOOD_ZIP, 6, 1), "corrupt or truncated (File "),
    "zip of an unknown compression": (read_strokes, marked(GOOD_ZIP, 8, 97), "compression method is not supported"),
    "zip of other things": (read_strokes, zipped(**{"a.txt": b"x"}), "holds no drawing"),
    "zip with a text as PNG": (
        read_strokes,
        zipped(**{STROKE.format(1): b"text"}),
        "0001_01.png is not a readable PNG",
    ),
    "zip with half a PNG": (
        read_strokes,
        zipped(**{STROKE.format(1): stroke(INK)[:300]}),
        "0001_01.png is not a readable PNG",
    ),
    "zip with a small PNG": (read_strokes, zipped(**{STROKE.format(1): stroke(INK[:28, :30])}), "is 28x30 instead of"),
    "zip with a PNG bomb": (
        read_strokes,
        zipped(**{STROKE.format(1): lying_png(60_000, 60_000)}),
        "0001_01.png is 60000x60000 instead of",
    ),
    "zip with a grey PNG": (read_strokes, zipped(**{STROKE.format(1): png(Image.fromarray(grey(105, 105)))}), "black"),
    "zip with a huge entry": (read_strokes, zipped(**{STROKE.format(1): bytes(70_000)}), "claims 70000 bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    read, content, what = BAD[case]
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert what in message
    assert "\n" not in message


@pytest.mark.parametrize("read", [read_idx, read_amat, read_chardata, read_strokes, read_npz])
def test_a_missing_file_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match=r"nowhere.*No such file"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        pack({key: np.eye(4, dtype=np.uint8) for key in ("train", "valid", "test")}, (2, 2))[:-20],
        lzma.compress(b"junk"),
        lzma.compress(npz(shape=np.array([2, 2]))),
    ],
)
def test_damaged_embedded_data_is_named(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^mnist: the embedded file is damaged"):
        unpack(content, "mnist")


def test_a_message_is_one_line() -> None:
    assert str(DataError("a\nb   c\r\n d")) == "a b c d"
