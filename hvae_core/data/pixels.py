"""What is done to pixels before training: fixed Bernoulli draws, seeded choices, exact area averages.

A grey value g in 0..255 is the probability g/255 that a pixel carries ink. The fixed draw takes a word w, uniform on
0..2^32-1, per pixel and sets the pixel where floor(255 w / 2^32) < g: always for g = 255, never for g = 0, and within
2^-32 of g/255 between them (the binarisation of Salakhutdinov & Murray, "On the quantitative analysis of deep belief
networks", 2008, is such a draw).

The words are the raw output of numpy's PCG64. NumPy keeps that stream fixed over versions and machines, which it does
not promise for the methods of Generator.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

DRAW_SEED = 20_250_707
"""Entropy of every fixed draw and choice; changing it changes the data sets."""

TRAIN, VALID, TEST, CHOICE, NULL = range(5)
"""Keys of the streams: the draws of the three splits, the choice of a held-out part, the shuffling of null data."""

_BLOCK = 1 << 17


def stream(*key: int) -> np.random.PCG64:
    """Return the stream of one fixed draw, at its beginning."""
    return np.random.PCG64(np.random.SeedSequence([DRAW_SEED, *key]))


def fixed_draw(grey: Bytes, key: int) -> Bytes:
    """Draw one fixed binary image per grey image, x_d ~ Bernoulli(grey_d / 255).

    `grey` is uint8 (N, D) in 0..255, `key` one of TRAIN, VALID, TEST; the result is uint8 (N, D) in 0/1. Pixel number
    i of the flattened array always meets word number i of the stream, so the first images of a longer array get the
    same draw.
    """
    words_of = stream(key)
    flat = np.ascontiguousarray(grey).reshape(-1)
    drawn = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):  # _BLOCK is even, so blocks never split a 64-bit word
        part = flat[start : start + _BLOCK]
        raw = words_of.random_raw((part.size + 1) // 2)
        words = np.empty(2 * raw.size, dtype=np.uint64)
        words[0::2] = raw & np.uint64(0xFFFFFFFF)
        words[1::2] = raw >> np.uint64(32)
        level = (words[: part.size] * np.uint64(255)) >> np.uint64(32)
        drawn[start : start + _BLOCK] = level < part
    return drawn.reshape(grey.shape)


def hold_out(n: int, k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose k of n images at random, always the same ones; returns (kept, held out), each in rising order.

    Image i is held out when its 64-bit word is among the k smallest of the first n. Raises ValueError unless
    0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k: {k} of {n} images cannot be held out")
    order = np.argsort(stream(CHOICE).random_raw(n), kind="stable")
    return np.sort(order[k:]), np.sort(order[:k])


def area_weights(n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return the overlaps (n_out, n_in) of n_out equal cells with n_in pixels, in units of 1/n_out pixel.

    Cell i covers [i n_in, (i + 1) n_in), pixel j covers [j n_out, (j + 1) n_out). All entries are whole numbers and
    every row sums to n_in.
    """
    cells = np.arange(n_out)[:, None] * n_in
    pixels = np.arange(n_in)[None, :] * n_out
    overlap = np.minimum(cells + n_in, pixels + n_out) - np.maximum(cells, pixels)
    return np.asarray(np.maximum(overlap, 0), dtype=np.float64)


def area_average(ink: Bytes, size: int) -> Bytes:
    """Average square 0/1 images over size x size equal cells, exactly; returns the grey levels 0..255.

    With W of `area_weights`, a cell's ink is n / n_in^2 for n = W X W^T, a whole number that float64 holds exactly,
    so the result does not depend on the machine: g = floor((510 n + n_in^2) / (2 n_in^2)), the nearest level.

    `ink` is uint8 (N, n_in, n_in) in 0/1, the result uint8 (N, size, size).
    """
    n_in = ink.shape[-1]
    weights = area_weights(n_in, size)
    grey = np.empty((len(ink), size, size), dtype=np.uint8)
    for start in range(0, len(ink), 256):
        total = weights @ ink[start : start + 256].astype(np.float64) @ weights.T
        whole = np.rint(total).astype(np.int64)
        grey[start : start + 256] = (510 * whole + n_in**2) // (2 * n_in**2)
    return grey
