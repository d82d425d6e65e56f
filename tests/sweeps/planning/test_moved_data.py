"""Results that were moved with the npz that they were trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import cli

WORDS = ["--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--steps", "4", "--batch-size", "8"]


def run(command: object, *words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False)  # type: ignore[arg-type]


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_images: Callable[..., Path]) -> Path:
    """A sweep in a folder that was then renamed, with its data beside it; the working directory is elsewhere."""
    before = tmp_path / "before"
    before.mkdir()
    monkeypatch.chdir(before)
    write_images(before / "bars.npz")
    for words in (["rho", *WORDS, "--ll-examples", "0", "--plan-only"], ["work", "results"]):
        assert run(cli.sweep, *words).exit_code == 0
    after, elsewhere = tmp_path / "after", tmp_path / "elsewhere"
    before.rename(after)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return after


def evaluate(folder: Path, *words: str) -> Result:
    return run(cli.sweep, "evaluate", str(folder / "results"), "--samples", "3", "--examples", "4", *words)


def test_the_file_beside_the_results_is_taken(moved: Path) -> None:
    done = evaluate(moved)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("L_3 ") == 2
    drawn = run(cli.plot, "samples", str(moved / "results"), "--format", "png")
    assert drawn.exit_code == 0, drawn.output


@pytest.mark.parametrize("place", ["here", "data", "inside"])
def test_other_places(place: str, moved: Path, tmp_path: Path) -> None:
    folder = {"here": Path.cwd(), "data": tmp_path / "data", "inside": moved / "results"}[place]
    folder.mkdir(exist_ok=True)
    (moved / "bars.npz").rename(folder / "bars.npz")
    done = evaluate(moved, *(["--data-dir", str(folder)] if place == "data" else []))
    assert done.exit_code == 0, done.output


def test_another_file_of_that_name_is_not(moved: Path, tmp_path: Path) -> None:
    np.savez(moved / "bars.npz", train=np.eye(4)[None].repeat(9, 0), test=np.eye(4)[None].repeat(3, 0))
    done = evaluate(moved)
    assert done.exit_code == 2
    assert f"{tmp_path}/before/bars.npz" in done.stderr
    assert "Traceback" not in done.output


def test_the_written_request_repeats_there(moved: Path) -> None:
    out = str(moved / "results")
    done = run(cli.sweep, "rho", "--config", f"{out}/sweep.toml", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "complete: 2" in done.stdout
