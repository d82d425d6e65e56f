"""Where every image and every label of the samples figure is."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.axes.paper import Paper
from analysis.figures.samples import ACROSS, GAP, HEADINGS, Drawn, draw_samples
from tests.analysis.boxes import assert_apart, assert_inside


def test_every_image_is_in_its_place() -> None:
    images = [
        np.full((2 * ACROSS, 3, 4), 0.1 * block) + np.arange(2 * ACROSS)[:, None, None] / 100 for block in (1, 2, 3)
    ]
    figure = draw_samples([Drawn("one\ntwo", (images[0], images[1], images[2]))])
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == list(HEADINGS)
    for axes, block in zip(panels, images, strict=True):
        drawn = np.asarray(axes.images[0].get_array())
        assert drawn.shape == (2 * (3 + GAP), ACROSS * (4 + GAP))
        for i in range(2 * ACROSS):
            row, column = divmod(i, ACROSS)
            top, left = row * (3 + GAP) + GAP, column * (4 + GAP) + GAP
            part = drawn[top : top + 3, left : left + 4]
            assert np.array_equal(part, block[i])
        assert axes.images[0].get_clim() == (0, 1)
    assert [text.get_text() for text in figure.texts if text.get_gid() == "label"] == ["one\ntwo"]


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3), (3, 40)])
def test_labels_and_images_stay_apart(width: str, shape: tuple[int, ...]) -> None:
    """Labels of different lengths, and images as high as wide or not, do not touch each other or leave the figure."""
    blocks = (np.zeros((2 * ACROSS, *shape)),) * 3
    models = [Drawn("\n".join(["a line of a label"] * lines), blocks) for lines in (1, 3, 9)]
    figure = draw_samples(models, paper=Paper(width))  # type: ignore[arg-type]
    figure.draw_without_rendering()
    labels = [text.get_window_extent() for text in figure.texts if text.get_gid() == "label"]
    images = [box for axes in figure.axes if (box := axes.get_tightbbox()) is not None]
    assert len(labels) == 3
    assert len(images) == 9
    assert_apart([*labels, *images])
    assert_inside(figure, [*labels, *images])
