"""The command line of hvae-plot: where it reads and writes, what it offers, what it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import click
import pytest
from click.testing import CliRunner, Result

import cli
from analysis import command
from analysis.axes import style
from analysis.command import plot
from analysis.figures.collapse import Quantity
from analysis.reports.table import STYLES
from analysis.requests.plot_request import PlotRequest
from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(plot, arguments, catch_exceptions=False)


def choices(name: str, option: str) -> Sequence[str]:
    (found,) = [each for each in plot.commands[name].params if each.name == option]
    assert isinstance(found.type, click.Choice)
    return list(found.type.choices)


def test_the_entry_point_is_the_same_group() -> None:
    assert cli.plot is plot


@pytest.mark.parametrize("out", [("--out", "~/x"), ("--out=~/x",)])
def test_a_leading_tilde_is_home_in_every_path(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: tuple[str, ...]
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    make_results(tmp_path / "results", rhos=(0.5, 1.0))
    for name, file in (("phase-transition", "phase-transition.csv"), ("table", "table.md")):
        drawn = run(name, "~/results", *out)
        assert drawn.exit_code == 0, drawn.stderr
        assert (tmp_path / "x" / file).exists()
    assert not list((tmp_path / "work").iterdir())
    assert run("table", "~/results").exit_code == 0
    assert (tmp_path / "results" / "figures" / "table.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["~nosuchuser/results"], "results: '~nosuchuser/results' is not allowed; it must begin with the ~ of a known"),
        ([""], "results: '' is not allowed; it must be a directory"),
        ([".", "--out", ""], "out: '' is not allowed; it must be a directory"),
    ],
)
def test_a_path_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in plot.commands:
        result = run(name, *arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {message}")
        assert len(result.stderr.splitlines()) == 1


def test_what_is_asked_has_names(tmp_path: Path) -> None:
    asked = PlotRequest.of([str(tmp_path)], None, ("a,b", "c:d"), (), formats=("svg",), title=False)
    assert asked == PlotRequest([tmp_path], None, ["a", "b", "c:d"], [], (), ("svg",), title=False)
    with pytest.raises(SpecError, match="datasets: a is given twice"):
        PlotRequest.of([str(tmp_path)], None, ("a", "a"), ())


def test_what_can_be_chosen_is_what_the_figures_know() -> None:
    for name in ("phase-transition", "collapse", "training", "samples"):
        assert choices(name, "formats") == list(style.FORMATS) == list(command.FORMATS)
    assert [*choices("collapse", "active"), "share"] == list(get_args(Quantity))
    assert choices("collapse", "quantity") == ["active", "share"]
    assert choices("table", "style") == list(STYLES)


def test_help_loads_nothing_that_draws_or_trains() -> None:
    code = (
        "import sys\n"
        "from analysis.command import plot\n"
        "try: plot(['samples', '--help'])\n"
        "except SystemExit: print([m for m in ('pandas', 'matplotlib', 'torch', 'ray') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.splitlines()[-1] == "[]"


def test_what_draws_loads_neither_torch_nor_ray_nor_click() -> None:
    modules = ", ".join(
        f"analysis.reports.{name}" for name in ("phase_transition", "collapse", "training", "table", "samples")
    )
    code = f"import sys, {modules}; print([m for m in ('torch', 'ray', 'click') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_figures_are_drawn_the_same_whatever_the_users_settings_say(
    make_results: Callable[..., list[Cell]], tmp_path: Path
) -> None:
    """A notebook's backend, LaTeX that is not installed, and lines that change saved figures."""
    make_results(tmp_path / "results")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.bbox: tight\nsavefig.transparent: True\n")
    theirs = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    for name, environment in (("plain", {}), ("theirs", theirs)):
        program = [sys.executable, "-c", "import cli; cli.plot()", "phase-transition", str(tmp_path / "results")]
        words = ["--format", "png", "--out", str(tmp_path / name)]
        done = subprocess.run(
            [*program, *words], env=os.environ | environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    plain, changed = ((tmp_path / name / "phase-transition.png").read_bytes() for name in ("plain", "theirs"))
    assert plain == changed
