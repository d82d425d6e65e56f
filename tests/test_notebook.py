"""The notebook of docs/ runs from its first cell to its last, with fewer steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tour.ipynb"


def cells() -> list[str]:
    content = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.ray
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    import matplotlib.pyplot as plt

    namespace: dict[str, Any] = {}
    for source in cells():
        exec(
            compile(source.replace("steps=300", "steps=12").replace("eval_every=50", "eval_every=4"), "cell", "exec"),
            namespace,
        )
    drawn = [plt.figure(number).axes for number in plt.get_fignums()]
    plt.close("all")
    assert [len(axes) for axes in drawn] == [2, 1]
    assert all(axes.lines for figure in drawn for axes in figure)
    assert len(namespace["frame"]) == 2 * 6 * 2
    assert set(namespace["frame"]["state"]) == {"complete"}


def test_it_was_saved_with_its_outputs() -> None:
    content = json.loads(NOTEBOOK.read_text())
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
