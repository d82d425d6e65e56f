from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.gather import GatherError
from analysis.samples import COLUMNS, GAP, HEADINGS, MAX_ROWS, Row, choose_cells, draw_samples, label_of, write_samples

Make = Callable[..., Any]


def test_four_cells_over_rho_of_one_curve_are_chosen_where_none_is_named(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, datasets=("glyphs:embedded", "mnist:embedded"), seeds=(0, 1))
    chosen = choose_cells([tmp_path], (), (), ())
    assert list(chosen["rho"]) == [0.0, 0.85, 0.97, 1.0]
    assert chosen["seed"].nunique() == chosen["dataset"].nunique() == 1
    assert all(Path(path).name == cell for path, cell in zip(chosen["path"], chosen["cell_id"], strict=True))


def test_named_cells_are_chosen_and_what_is_no_cell_is_named(make_results: Make, tmp_path: Path) -> None:
    cells = make_results(tmp_path)
    chosen = choose_cells([tmp_path], (cells[3].id[:10], cells[5].id), (), ())
    assert set(chosen["cell_id"]) == {cells[3].id, cells[5].id}
    with pytest.raises(GatherError, match="'zz' is no complete cell"):
        choose_cells([tmp_path], ("zz",), (), ())
    with pytest.raises(GatherError, match=f"at most {MAX_ROWS}"):
        choose_cells([tmp_path], ("",), (), ())
    with pytest.raises(GatherError, match="omniglot"):
        choose_cells([tmp_path], (), ("omniglot",), ())


def test_every_image_is_in_its_place(tmp_path: Path) -> None:
    images = [
        np.full((2 * COLUMNS, 3, 4), 0.1 * block) + np.arange(2 * COLUMNS)[:, None, None] / 100 for block in (1, 2, 3)
    ]
    figure = draw_samples([Row("one\ntwo $x", (images[0], images[1], images[2]))])
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == list(HEADINGS)
    for axes, block in zip(panels, images, strict=True):
        drawn = np.asarray(axes.images[0].get_array())
        assert drawn.shape == (2 * (3 + GAP), COLUMNS * (4 + GAP))
        for i in range(2 * COLUMNS):
            row, column = divmod(i, COLUMNS)
            top, left = row * (3 + GAP) + GAP, column * (4 + GAP) + GAP
            part = drawn[top : top + 3, left : left + 4]
            assert np.array_equal(part, block[i])
        assert axes.images[0].get_clim() == (0, 1)
    assert figure.axes[0].texts[0].get_text() == "one\ntwo \\$x"


def test_the_csv_is_what_is_drawn(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path)
    chosen = choose_cells([tmp_path], (), (), ())
    rows = [Row(label_of(cell), (np.zeros((10, 2, 2)),) * 3) for _, cell in chosen.iterrows()]
    files = write_samples(draw_samples(rows, title=False), chosen, tmp_path / "figures", ["png"])
    assert [file.name for file in files] == ["samples.png", "samples.csv"]
    assert len(files[1].read_text().splitlines()) == 5
    assert "ρ = 0.85" in rows[1].label
    assert "active" in rows[1].label
