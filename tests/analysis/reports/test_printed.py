"""Every figure in a column and on a page: of that width, all text within it and legible, its fonts in the PDF."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text

import cli
from analysis.axes.paper import INCHES
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.ledger import Ledger
from sweeps.trained.drawings import Pictures

Make = Callable[..., list[Cell]]
FINE = (0.0, 0.5, *np.round(np.arange(0.8, 1.005, 0.02), 3).tolist())
POINTS = 6.0  # the smallest text of a printed figure
FIGURES = ("phase-transition", "information", "drift", "scaling", "collapse", "training", "samples")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in the order in which they were written."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *arguments: Any, **settings: Any) -> None:
        figures.append(self)
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets, models of three widths and depths, three seeds, with histories and information."""
    from tests.analysis.conftest import sigmoid_kl, write_results

    root = tmp_path_factory.mktemp("printed") / "results"
    settings: dict[str, Any] = {"rhos": FINE, "seeds": (0, 1, 2), "train": TrainSpec(4000)}
    settings["datasets"] = ("mnist:embedded", "a long name of a file of images:npz")
    settings["history"] = lambda cell: [
        {"step": s, "elbo": -100 - 2e5 / s, "kl_top": sigmoid_kl(cell) * (1 - 200 / s)} for s in (500, 1000, 2000, 4000)
    ]
    ledger = Ledger(root)
    for cell in write_results(root, models=("mlp2x4h8", "mlp2x8h8", "mlp3x4h8"), **settings):
        metrics = {f"info_{place}{end}": value for place in ("1", "2", "3", "top") for end, value in ENDS.items()}
        facts = {"schema": SCHEMA, "cell_id": cell.id, "metrics": metrics, "paths": 8, "examples": 500, "asked": 500}
        (ledger.cell_path(cell.id) / "eval-information.json").write_text(json.dumps(facts))
    return root


ENDS = {"": 1.0, "_high": 2.0, "_gauss": 1.5, "_se": 0.1, "_high_se": 0.1}


@pytest.fixture(autouse=True)
def studio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells have no weights: their samples are grey."""
    monkeypatch.setattr("sweeps.trained.drawings.pictures", lambda *_: Pictures(*(np.full((10, 28, 28), 0.5),) * 4))


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn: findobj would give the labels of ticks beyond the axes too."""
    drawn: list[Text] = []
    draw = Text.draw

    def keep(self: Text, renderer: RendererBase) -> None:
        drawn.append(self)
        draw(self, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", keep)
        figure.draw_without_rendering()
    return [text for text in drawn if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("name", FIGURES)
def test_it_is_as_wide_as_asked_and_all_its_text_is_there_to_be_read(
    name: str, width: str, directory: Path, written: list[Figure], tmp_path: Path
) -> None:
    words = [name, str(directory), "--width", width, "--format", "pdf", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.plot, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert written
    for figure in written:
        assert figure.get_size_inches()[0] == INCHES[width]  # type: ignore[index]
        assert bool(figure.get_suptitle()) == (width == "page")
        for text in texts(figure):
            assert float(text.get_fontsize()) >= POINTS, text
            box = text.get_window_extent()
            assert figure.bbox.x0 - 1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, text
            assert figure.bbox.y0 - 1 <= box.y0 < box.y1 <= figure.bbox.y1 + 1, text
    for pdf in tmp_path.glob("*.pdf"):
        content = pdf.read_bytes()
        assert b"/FontFile2" in content, "an embedded TrueType font, type 42"
        assert b"/Type3" not in content


def test_a_style_file_gives_fonts_and_lines_and_leaves_sizes(
    directory: Path, written: list[Figure], tmp_path: Path
) -> None:
    style = tmp_path / "paper.mplstyle"
    style.write_text("font.family: DejaVu Serif\naxes.linewidth: 1.7\nfont.size: 30\npdf.fonttype: 3\n")
    words = ["phase-transition", str(directory), "--mplstyle", str(style), "--format", "pdf", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.plot, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "left out: font.size, pdf.fonttype" in done.stderr
    (figure,) = written
    assert {text.get_fontname() for text in texts(figure)} == {"DejaVu Serif"}
    assert max(float(text.get_fontsize()) for text in texts(figure)) < 10
    assert figure.axes[0].spines["left"].get_linewidth() == 1.7
    assert b"/Type3" not in (tmp_path / "phase-transition.pdf").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"font.sise: 3\n", "Bad key font.sise"),
        (b"font.size: big\n", "Could not convert 'big'"),
        (b"\xff\xfe\x00\x80", "is no text file"),
        (b"savefig.dpi: 5\n", "savefig.dpi = 5 is not allowed; it must be 20 to 2400"),
        (b"figure.dpi: 30000\n", "figure.dpi = 30000 is not allowed"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_style_file_is_said_in_a_line(
    content: bytes | None, message: str, directory: Path, tmp_path: Path
) -> None:
    style = tmp_path / "paper.mplstyle"
    if content is not None:
        style.write_bytes(content)
    done = CliRunner().invoke(cli.plot, ["phase-transition", str(directory), "--mplstyle", str(style)])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "mplstyle" in done.stderr
    assert message in done.stderr
