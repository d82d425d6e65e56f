"""Fixed draws, seeded choices and area averages against independent oracles."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hvae_core.data import pixels
from hvae_core.data.pixels import CHOICE, TEST, TRAIN, VALID, area_average, area_weights, fixed_draw, hold_out


@pytest.mark.parametrize("level", [1, 2, 64, 127, 128, 200, 254])
def test_a_grey_level_is_the_probability_of_ink(level: int) -> None:
    n = 400_000
    drawn = fixed_draw(np.full((n // 100, 100), level, dtype=np.uint8), VALID)
    p = level / 255
    assert abs(drawn.mean() - p) < 5 * np.sqrt(p * (1 - p) / n)


def test_black_is_never_inked_and_white_always() -> None:
    assert not fixed_draw(np.zeros((300, 784), dtype=np.uint8), TRAIN).any()
    assert fixed_draw(np.full((300, 784), 255, dtype=np.uint8), TRAIN).all()


def test_pixel_i_meets_word_i_of_the_raw_stream() -> None:
    n = 2 * pixels._BLOCK + 7  # two block boundaries, an odd end
    grey = np.random.default_rng(0).integers(0, 256, (1, n), dtype=np.uint8)
    raw = np.random.PCG64(np.random.SeedSequence([pixels.DRAW_SEED, TEST])).random_raw(n)
    drawn = fixed_draw(grey, TEST)[0]
    for i in [0, 1, 2, 3, 500, pixels._BLOCK - 1, pixels._BLOCK, pixels._BLOCK + 1, 2 * pixels._BLOCK, n - 1]:
        word = (int(raw[i // 2]) >> (32 * (i % 2))) & 0xFFFFFFFF
        assert drawn[i] == (Fraction(255 * word, 2**32).__floor__() < int(grey[0, i])), i


def test_a_draw_does_not_depend_on_what_comes_after() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (400, 785), dtype=np.uint8)
    assert np.array_equal(fixed_draw(grey[:171], TRAIN), fixed_draw(grey, TRAIN)[:171])


def test_splits_have_streams_of_their_own() -> None:
    grey = np.full((200, 784), 128, dtype=np.uint8)
    for one, other in ((TRAIN, VALID), (VALID, TEST), (TEST, TRAIN), (TRAIN, CHOICE)):
        agree = (fixed_draw(grey, one) == fixed_draw(grey, other)).mean()
        assert agree == pytest.approx(0.5, abs=0.01)


def test_the_draw_is_the_same_for_ever() -> None:
    """Every static data set and every cell id hangs on these bits."""
    grey = np.arange(256 * 40, dtype=np.int64).astype(np.uint8).reshape(40, 256)
    digest = hashlib.sha256(np.packbits(fixed_draw(grey, TRAIN)).tobytes()).hexdigest()
    assert digest == "0b44cd4d2a1eac3ec9df354bbc7ea12cce1cbde83c12e479e102cce2e4480db8"
    assert hold_out(1000, 5)[1].tolist() == [352, 609, 738, 968, 997]


@given(st.integers(0, 300), st.data())
@settings(deadline=None)
def test_holding_out_parts_the_images(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    kept, held = hold_out(n, k)
    assert len(held) == k
    assert sorted([*kept, *held]) == list(range(n))
    assert np.array_equal(kept, np.sort(kept))
    assert np.array_equal(held, np.sort(held))


def test_the_held_out_images_are_spread_over_all() -> None:
    _, held = hold_out(19_280, 1_345)
    counts, _ = np.histogram(held, bins=10, range=(0, 19_280))
    assert counts.min() > 134.5 - 5 * np.sqrt(134.5)
    assert counts.max() < 134.5 + 5 * np.sqrt(134.5)


@pytest.mark.parametrize("k", [-1, 4])
def test_no_more_than_all_can_be_held_out(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k: {k} of 3"):
        hold_out(3, k)


@given(st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None)
def test_overlaps_fill_cells_and_pixels(n_in: int, n_out: int) -> None:
    weights = area_weights(n_in, n_out)
    assert weights.shape == (n_out, n_in)
    assert (weights >= 0).all()
    assert (weights.sum(axis=1) == n_in).all()
    assert (weights.sum(axis=0) == n_out).all()


@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(15), st.just(15)), elements=st.integers(0, 1)))
@settings(deadline=None)
def test_the_average_is_that_of_the_pixels_cut_up(ink: np.ndarray) -> None:
    """Cut each pixel into 4 x 4, so that a cell of 3.75 pixels is 15 x 15 whole pieces."""
    pieces = np.kron(ink, np.ones((1, 4, 4), dtype=np.int64))
    cells = pieces.reshape(len(ink), 4, 15, 4, 15).sum(axis=(2, 4))
    exact = [[[round(Fraction(255 * int(c), 225)) for c in row] for row in image] for image in cells]
    assert area_average(ink, 4).tolist() == exact


@given(arrays(np.uint8, st.just((1, 105, 105)), elements=st.integers(0, 1), fill=st.just(0)))
@settings(deadline=None)
def test_averaging_keeps_the_mean_ink(ink: np.ndarray) -> None:
    grey = area_average(ink, 28)
    assert grey.shape == (1, 28, 28)
    assert abs(grey.mean() / 255 - ink.mean()) <= 0.5 / 255


def test_an_average_stays_where_the_ink_is() -> None:
    ink = np.zeros((300, 105, 105), dtype=np.uint8)
    ink[299, :15, 90:] = 1  # the four topmost, rightmost cells
    grey = area_average(ink, 28)
    assert not grey[:299].any()
    assert (grey[299, :4, 24:] == 255).all()
    assert grey[299].astype(int).sum() == 16 * 255
