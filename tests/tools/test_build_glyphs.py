"""The builder of the embedded glyphs: characters that are there, thin pen paths, images inside their frame."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label


@cache
def builder() -> Any:
    file = Path(__file__).parents[2] / "tools" / "build_glyphs.py"
    spec = importlib.util.spec_from_file_location("build_glyphs", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def paths() -> Any:
    return builder().pen_paths(("DejaVuSans",), {"some": "O8iЖ+"})


def test_only_characters_that_a_font_has_are_drawn() -> None:
    assert [path[0].character for path in paths()] == list("O8iЖ+")
    assert [len(path) for path in builder().pen_paths(alphabets={"some": "Aש"})] == [3, 1]  # Hebrew is in Sans alone
    with pytest.raises(ValueError, match="no font has '漢'"):
        builder().pen_paths(alphabets={"some": "A漢"})


def test_thinning_keeps_parts_and_holes_and_leaves_single_lines() -> None:
    disc = np.hypot(*np.mgrid[-20:21, -20:21]) < 15
    ring = disc & (np.hypot(*np.mgrid[-20:21, -20:21]) > 6)
    bar = np.zeros((41, 41), dtype=bool)
    bar[15:24, 4:37] = True
    for ink, holes in ((ring, 1), (bar, 0), (disc, 0)):
        thinned = builder().thin(ink.astype(np.uint8))
        assert label(thinned, np.ones((3, 3)))[1] == 1
        assert label(1 - thinned)[1] == 1 + holes
        assert not (thinned & ~ink).any()
        blocks = thinned[:-1, :-1] + thinned[1:, :-1] + thinned[:-1, 1:] + thinned[1:, 1:]
        assert blocks.max() < 4


def test_images_repeat_with_the_seed_and_stay_in_their_frame() -> None:
    def drawn(seed: int) -> Any:
        return builder().images(paths(), 60, np.random.Generator(np.random.PCG64(seed)))

    images = drawn(0)
    assert np.array_equal(images, drawn(0))
    assert not np.array_equal(images, drawn(1))
    frames = images.reshape(-1, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 1
    assert not frames[:, [0, -1]].any()
    assert not frames[:, :, [0, -1]].any()
    rows, columns = frames.any(axis=2), frames.any(axis=1)
    for inked in (rows, columns):
        middle = (inked.argmax(axis=1) + 27 - inked[:, ::-1].argmax(axis=1)) / 2
        assert np.abs(middle - 13.5).max() < 2
    assert (np.maximum(rows.sum(axis=1), columns.sum(axis=1)) >= 14).all()
    assert len({image.tobytes() for image in images}) == 60


def test_images_are_upright() -> None:
    """A T has its bar above its stem, a V its point below."""
    tee, vee = builder().pen_paths(("DejaVuSans",), {"some": "TV"})
    rng = np.random.Generator(np.random.PCG64(0))
    for path, wide_half in ((tee[0], slice(0, 14)), (vee[0], slice(0, 14))):
        mean = np.mean([builder().draw(path, rng) for _ in range(40)], axis=0)
        spread = [float((mean[half].sum(axis=0) > 0.3).sum()) for half in (wide_half, slice(14, 28))]
        assert spread[0] > spread[1]


def test_every_character_comes_equally_often() -> None:
    order: list[str] = []

    class Recorder:
        def __call__(self, path: Any, rng: Any) -> Any:
            order.append(path.character)
            return np.zeros((28, 28), dtype=np.uint8)

    module = builder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "draw", Recorder())
        module.images(paths(), 25, np.random.Generator(np.random.PCG64(0)))
    assert {character: order.count(character) for character in "O8iЖ+"} == dict.fromkeys("O8iЖ+", 5)
    assert all(len(set(order[start : start + 5])) == 5 for start in range(0, 25, 5))
