"""Null data: every pixel permuted over the images by itself, within each split, always alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvae_core.data import DataError, Dataset, fetch_dataset, load_dataset, own_file
from hvae_core.data.null import shuffled
from hvae_core.data.pixels import TEST, TRAIN

SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def glyphs() -> tuple[Dataset, Dataset]:
    return load_dataset("glyphs"), load_dataset("null:glyphs")


def write(path: Path, images: np.ndarray) -> Path:
    np.savez(path, train=images, valid=images[:9], test=images[:20])
    return path


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_every_pixel_keeps_its_values_and_no_image_is_lost(count: int, pixels: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, pixels), dtype=np.uint8)
    found = shuffled(images, TRAIN)
    assert np.array_equal(np.sort(found, axis=0), np.sort(images, axis=0))
    assert np.array_equal(shuffled(images, TRAIN), found)


def test_each_pixel_and_each_split_has_a_permutation_of_its_own() -> None:
    places = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 40, axis=1)
    orders = [tuple(column) for split in (TRAIN, TEST) for column in shuffled(places, split).T]
    assert len(set(orders)) == 80
    correlation = np.corrcoef(np.array(orders, dtype=float)) - np.eye(80)
    assert np.abs(correlation).max() < 5 / np.sqrt(200)


def test_the_permutations_never_change() -> None:
    """Results of the null of a data set can be compared over machines and versions of numpy."""
    places = np.repeat(np.arange(8, dtype=np.uint8)[:, None], 2, axis=1)
    assert shuffled(places, TRAIN).T.tolist() == [[3, 7, 1, 0, 5, 6, 2, 4], [6, 2, 5, 3, 1, 4, 7, 0]]


def test_the_null_of_a_data_set_has_its_pixel_means_and_none_of_its_structure(glyphs: tuple[Dataset, Dataset]) -> None:
    data, null = glyphs
    assert (null.name, null.source, null.reference) == ("null:glyphs", "embedded", "null:glyphs:embedded")
    assert null.image == data.image
    assert null.checksum != data.checksum
    for split in SPLITS:
        a, b = getattr(data, split), getattr(null, split)
        assert np.array_equal(a.sum(0, dtype=np.int64), b.sum(0, dtype=np.int64))
    assert strongest(data.train) > 0.5
    assert strongest(null.train) < 5.5 / np.sqrt(len(null.train))


def strongest(images: np.ndarray) -> float:
    """Largest correlation of two pixels that are often set."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    kept = flat[:, (flat.mean(0) > 0.1) & (flat.mean(0) < 0.9)]
    scaled = (kept - kept.mean(0)) / kept.std(0)
    return float(np.abs(scaled.T @ scaled / len(scaled) - np.eye(kept.shape[1])).max())


def test_a_reference_loads_the_same_null_again(glyphs: tuple[Dataset, Dataset]) -> None:
    again = load_dataset(glyphs[1].reference)
    assert again.checksum == glyphs[1].checksum


def test_the_null_of_an_own_file(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 2, (50, 3, 4), dtype=np.uint8)
    path = write(tmp_path / "own.npz", images)
    null = load_dataset(f"null:{path}")
    assert (null.name, null.source, null.reference) == ("null:own", "npz", f"null:{path}")
    assert null.image.shape == (1, 3, 4)
    assert np.array_equal(null.test.sum(0)[0], images[:20].sum(0))
    assert own_file(f"null:{path}") == own_file(str(path)) == path
    assert fetch_dataset(f"null:{path}") == (path,)


def test_dynamic_binarisation_shuffles_the_grey_levels(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 4), dtype=np.uint8)
    path = write(tmp_path / "own.npz", images)
    null = load_dataset(f"null:{path}", binarise="dynamic")
    assert np.array_equal(np.sort(null.train[:, 0], 0), np.sort(images, 0))


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("null:null:mnist", "data set 'null:null:mnist' is not allowed; use 'null:mnist'"),
        ("null:", "data set '' is unknown; it must be one of mnist"),
        ("null:nope", "data set 'nope' is unknown"),
    ],
)
def test_mistakes_are_one_line(reference: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(reference)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
