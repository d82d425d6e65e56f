"""A user's npz: every kind of array that may be in it, and every kind that must not."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hvae_core.data.formats import DataError
from hvae_core.data.npz import read_npz


def grey(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def npz(**values: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("arrays_", "binary", "first"),
    [
        ({"train": np.array([[[0, 255], [7, 9]]] * 2, dtype=np.uint8)}, False, [0, 255, 7, 9]),
        ({"train": np.array([[[0, 1], [1, 1]]] * 2, dtype=np.uint8)}, True, [0, 1, 1, 1]),
        ({"train": np.array([[[False, True], [True, True]]] * 2)}, True, [0, 1, 1, 1]),
        ({"train": np.array([[[0.0, 1.0], [1.0, 1.0]]] * 2, dtype=np.float32)}, True, [0, 1, 1, 1]),
        ({"train": np.array([[[0.0, 1.0], [0.5, 0.2]]] * 2)}, False, [0, 255, 128, 51]),
    ],
    ids=["grey", "uint8 of 0 and 1", "bool", "float of 0 and 1", "float"],
)
def test_npz_of_every_kind(tmp_path: Path, arrays_: dict[str, Any], binary: bool, first: list[int]) -> None:
    path = tmp_path / "a.npz"
    train = arrays_["train"]
    path.write_bytes(npz(train=train[..., None], test=train[:1], labels=np.arange(2)))
    read = read_npz(path)
    assert read.binary is binary
    assert read.train.shape == (2, 2, 2)
    assert read.train.dtype == np.uint8
    assert read.train[0].reshape(-1).tolist() == first
    assert np.array_equal(read.test, read.train[:1])
    assert read.valid is None


def test_one_grey_array_makes_all_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    ones = np.tile(np.array([0, 1], dtype=np.uint8), (3, 2, 1))
    path.write_bytes(npz(train=ones * 255, test=ones * 255, valid=ones * 200))
    read = read_npz(path)
    assert not read.binary
    assert read.valid is not None
    assert read.valid.max() == 200


ONES = np.tile(np.array([0, 1], dtype=np.uint8), (3, 2, 1))


@pytest.mark.parametrize(
    ("arrays_", "words"),
    [
        ({"train": ONES * 255, "test": ONES}, "train up to 255, test up to 1"),
        ({"train": ONES, "test": ONES * 255}, "train up to 1, test up to 255"),
        ({"train": ONES * 255, "valid": ONES, "test": ONES * 255}, "train up to 255, valid up to 1, test up to 255"),
        ({"train": ONES * 1.0, "test": ONES / 255}, "train up to 255, test up to 1"),
        ({"train": ONES * 255, "test": ONES * 15}, "train up to 255, test up to 15"),
    ],
    ids=["test of 0 and 1", "train of 0 and 1", "valid of 0 and 1", "test divided twice", "four bits beside eight"],
)
def test_splits_on_different_scales_are_refused_by_name(tmp_path: Path, arrays_: dict[str, Any], words: str) -> None:
    """Read as grey levels, a test set of zeros and ones would be nearly black, and every ELBO on it meaningless."""
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**arrays_))
    with pytest.raises(DataError, match=f"arrays are on different scales, of 255 levels {words}; all must") as error:
        read_npz(path)
    assert "\n" not in str(error.value)


def test_a_dark_split_and_a_blank_binary_one_are_no_other_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(npz(train=ONES * 255, test=ONES * 40))
    assert read_npz(path).test.max() == 40
    path.write_bytes(npz(train=ONES, test=ONES, valid=ONES * 0))
    assert read_npz(path).binary


WELL_KNOWN = [
    ("x_train", "x_val", "x_test"),
    ("train_images", "val_images", "test_images"),
    ("X_train", "X_valid", "X_test"),
]


@pytest.mark.parametrize("names", WELL_KNOWN)
def test_arrays_are_known_by_the_names_of_other_collections(names: tuple[str, ...], tmp_path: Path) -> None:
    path, images = tmp_path / "a.npz", {name: grey(3 + i, 4, 4) for i, name in enumerate(names)}
    path.write_bytes(npz(**images, y_train=grey(3), train_labels=grey(3)))
    read = read_npz(path)
    assert read.valid is not None
    for found, name in zip((read.train, read.valid, read.test), names, strict=True):
        assert (found == images[name]).all()


def test_our_own_names_come_first(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(npz(train=grey(3, 4, 4), x_train=grey(9, 4, 4), test=grey(2, 4, 4)))
    assert len(read_npz(path).train) == 3


@pytest.mark.parametrize("form", [(-1, 1, 4, 4), (-1, 4, 4, 1), (-1, 16), (-1, 4, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.int32, np.uint16])
def test_whole_numbers_of_every_size_and_form_are_the_same_images(
    form: tuple[int, ...], kind: type[np.generic], tmp_path: Path
) -> None:
    path, train, test = tmp_path / "a.npz", grey(5, 4, 4), grey(2, 4, 4)
    path.write_bytes(npz(train=train.reshape(form).astype(kind), test=test.reshape(form).astype(kind)))
    read = read_npz(path)
    assert (read.train == train).all()
    assert (read.test == test).all()


def test_floats_a_rounding_beyond_the_ends_are_the_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(npz(train=np.eye(3)[None] * (1 + 2e-7) - 1e-7, test=np.eye(3)[None]))
    assert read_npz(path).train.tolist() == (np.eye(3)[None] * 255).tolist()


BAD: dict[str, tuple[bytes, str]] = {
    "npz is no npz": (b"hello", "is no npz file, or a damaged one"),
    "npz empty file": (b"", "is no npz file, or a damaged one"),
    "npz is one array": (npy(grey(2, 3, 3)), "is a single array"),
    "npz truncated": (npz(train=grey(4, 3, 5), test=grey(2, 3, 5))[:-40], "is no npz file, or a damaged one"),
    "npz with pickled objects": (
        npz(train=np.array([[[None, 1]]], dtype=object), test=grey(1, 1, 2)),
        "cannot be read as an npz without pickled objects",
    ),
    "npz without test": (npz(train=grey(2, 3, 3)), "array test is missing"),
    "npz without train": (npz(test=grey(2, 3, 3)), "array train is missing"),
    "npz 1-D": (npz(train=grey(9), test=grey(9)), "array train has shape (9,)"),
    "npz flat images": (npz(train=grey(4, 8), test=grey(4, 8)), "it must be (N, H, W)"),
    "npz in colour": (npz(train=grey(2, 3, 3, 3), test=grey(2, 3, 3, 3)), "it must be (N, H, W)"),
    "npz of no images": (npz(train=grey(0, 3, 3), test=grey(2, 3, 3)), "array train is empty"),
    "npz of no pixels": (npz(train=grey(2, 0, 3), test=grey(2, 0, 3)), "array train is empty"),
    "npz of two shapes": (npz(train=grey(2, 3, 3), test=grey(2, 3, 4)), "images differ in shape"),
    "npz of int64": (
        npz(train=np.eye(3, dtype=np.int64)[None] * 256, test=grey(1, 3, 3)),
        "values from 0 to 256; whole",
    ),
    "npz of int8": (npz(train=-np.eye(3, dtype=np.int8)[None], test=grey(1, 3, 3)), "values from -1 to 0; whole"),
    "npz of others": (npz(images=grey(2, 3, 3), labels=grey(2)), "this one holds 'images', 'labels'"),
    "npz a little above 1": (npz(train=np.eye(3)[None] * 1.0001, test=np.eye(3)[None]), "from 0 to 1.0001; floats"),
    "npz of text": (npz(train=np.full((2, 2, 2), "a"), test=grey(1, 2, 2)), "train is <U1"),
    "npz of complex": (npz(train=grey(2, 2, 2) * 1j, test=grey(1, 2, 2)), "train is complex128"),
    "npz of two kinds": (npz(train=grey(2, 3, 3), test=grey(2, 3, 3) / 255), "arrays differ in kind"),
    "npz with NaN": (npz(train=np.full((2, 3, 3), np.nan), test=np.zeros((1, 3, 3))), "train holds NaN"),
    "npz below 0": (npz(train=np.eye(3)[None] - 0.5, test=np.eye(3)[None]), "values from -0.5 to 0.5"),
    "npz of floats to 255": (npz(train=np.eye(3)[None] * 255, test=np.eye(3)[None]), "from 0 to 255"),
    "npz of one value": (npz(train=np.zeros((5, 3, 3), np.uint8), test=grey(2, 3, 3)), "nothing to learn"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    content, what = BAD[case]
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_npz(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert what in message
    assert "\n" not in message
