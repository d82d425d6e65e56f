"""Every setting that makes a cell can be an axis of the grid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from sweeps.ledger.ledger import Ledger

TINY = ["--model", "mlp2x3h6", "--datasets", "glyphs", "--rho", "0.5", "1", "--dry-run", "--json"]


def cells(tmp_path: Path, *words: str) -> int:
    done = CliRunner().invoke(cli.sweep, ["rho", *TINY, "--out", str(tmp_path / "r"), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return int(json.loads(done.stdout)["cells"])


@pytest.mark.parametrize(
    "axis",
    [
        ["--ou-samples", "2", "5", "10"],
        ["--steps", "10", "20", "40"],
        ["--steps", "10:30:10"],
        ["--batch-size", "8,16,32"],
        ["--lr", "1e-3", "--lr", "2e-3", "--lr", "4e-3"],
        ["--beta-top", "0.5", "0.8", "1"],
    ],
)
def test_several_values_are_a_model_for_each(axis: list[str], tmp_path: Path) -> None:
    assert cells(tmp_path, *axis) == 3 * 2


def test_axes_multiply(tmp_path: Path) -> None:
    words = ["--ou-samples", "2", "5", "--beta-top", "0.5", "1", "--steps", "10", "20", "--lr", "1e-3", "2e-3"]
    assert cells(tmp_path, *words, "--batch-size", "8", "16", "--seeds", "3") == 2**5 * 3 * 2


def test_a_grid_is_trained_and_its_curves_are_kept_apart(tmp_path: Path) -> None:
    out = str(tmp_path / "r")
    words = ["rho", *TINY[:-2], "--ou-samples", "2", "3", "--steps", "3", "4", "--ll-examples", "0", "--out", out]
    for more in ([*words, "--plan-only"], ["work", out]):
        done = CliRunner().invoke(cli.sweep, more, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
    assert CliRunner().invoke(cli.sweep, [*words, "--dry-run"], catch_exceptions=False).stdout.count("pending: 0") == 1
    done = CliRunner().invoke(cli.sweep, ["rho", "--config", f"{out}/sweep.toml", "--dry-run", "--json"])
    assert json.loads(done.stdout)["complete"] == 8
    done = CliRunner().invoke(cli.plot, ["critical", out], catch_exceptions=False)
    assert done.stdout.count("worse than independent pixels at every rho") == 4  # after four steps


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ou-samples", "2", "2"], "ou-samples"),
        (["--steps", "10", "ten"], "'ten'"),
        (["--lr", "1e-3", "0"], "lr: 0"),
        (["--batch-size", "8", "0"], "batch-size: 0"),
        (["--steps", "100", "200", "--kl-anneal", "1%:50%"], "not allowed with several --steps"),
        (["--ou-samples", "2", "5", "--refine", "0.1", "--seeds", "3"], "a grid over more than rho"),
    ],
)
def test_mistakes_name_the_value(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.sweep, ["rho", *TINY, "--out", str(tmp_path), *words])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("name", ["depths", "widths"])
def test_no_layers_or_units_are_a_mistake_of_that_option(name: str, tmp_path: Path) -> None:
    words = ["depth-width", "--datasets", "glyphs", f"--{name}", "0", "2", "--dry-run", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.sweep, words)
    assert done.exit_code == 2
    assert done.stderr == f"error: {name}: 0 is not allowed; it must be at least 1\n"


@pytest.mark.parametrize(("words", "said"), [([], 0), (["--kl-anneal", "0:5"], 1)])
def test_an_option_that_nothing_uses_is_noted_if_it_was_typed(words: list[str], said: int, tmp_path: Path) -> None:
    quick = ["methods", "--quick", "--methods", "vae", "hvae", "--dry-run", "--out", str(tmp_path / "r"), *words]
    done = CliRunner().invoke(cli.sweep, quick, catch_exceptions=False)
    assert done.stderr.count("is used by none") == said


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        (("--depths", "1:2", "--widths", "4"), {"mlp1x4", "mlp2x4"}),
        (("--family", "conv", "--depths", "2", "--widths", "2", "4"), {"conv2x2x7x7", "conv2x4x7x7"}),
        (("--family", "conv", "--depths", "3", "--widths", "2", "--hidden", "16"), {"conv3x2x7x7f16"}),
        (("--family", "resnet", "--depths", "2", "--widths", "3", "--maps", "14x14"), {"resnet2x3x14x14"}),
    ],
)
def test_grids_are_of_any_family(tmp_path: Path, arguments: tuple[str, ...], models: set[str]) -> None:
    words = ["depth-width", "--datasets", "glyphs", *arguments, "--plan-only", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.sweep, words, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert {record.cell.model.name for record in Ledger(tmp_path).records()} == models


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--maps", "7x7"), "maps: '7x7' is not allowed with --family mlp"),
        (("--family", "conv", "--maps", "7"), "maps: '7' is not allowed; it must be HEIGHTxWIDTH such as 7x7"),
        (("--family", "conv", "--maps", "5x5"), "do not halve"),
        (("--family", "conv", "--hidden", "0"), "'conv1x10x7x7f0' is not a model"),
    ],
)
def test_a_grid_that_cannot_be_is_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    words = ["depth-width", "--datasets", "glyphs", *arguments, "--dry-run", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.sweep, words, catch_exceptions=False)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert line in done.stderr
