"""Null data: a data set whose every pixel was shuffled over the images by itself.

null:<data set> has as many images, with the same mean and levels at every pixel, and no structure: its pixels are
independent, so that nothing about an image is worth a latent variable's nats. What a figure shows for a data set and
for its null alike is not about the images.
"""

from __future__ import annotations

import numpy as np

from hvae_core.data.formats import DataError
from hvae_core.data.pixels import NULL, Bytes, stream

PREFIX = "null:"


def is_null(name: str) -> bool:
    """Whether a data set of that name or reference is the null of another."""
    return name.startswith(PREFIX)


def base_of(reference: str) -> str | None:
    """Return the reference of which `reference` is the null, or None; raises DataError for the null of a null."""
    if not is_null(reference):
        return None
    base = reference.removeprefix(PREFIX)
    if is_null(base):
        raise DataError(f"data set {reference!r} is not allowed; use {base!r}, which has no structure left")
    return base


def shuffled(images: Bytes, split: int) -> Bytes:
    """Permute every pixel (and channel) of images (N, ...) over the images, by a permutation of its own.

    `split` is one of pixels.TRAIN, VALID, TEST. Pixel number j takes the j-th N words of the split's stream; their
    ranks are the permutation, so that it is the same on every machine and with every version of numpy.
    """
    words, columns = stream(NULL, split), images.reshape(len(images), -1).T
    taken = [column[np.argsort(words.random_raw(len(column)), kind="stable")] for column in columns]
    return np.ascontiguousarray(np.array(taken, dtype=np.uint8).T).reshape(images.shape)
