"""Boxes of what a figure shows: inside it, and apart from each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase


def assert_inside(figure: Figure, boxes: Sequence[BboxBase]) -> None:
    """No box leaves the figure."""
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1


def assert_apart(boxes: Sequence[BboxBase]) -> None:
    """No two boxes touch."""
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
