"""Every system from the command line to tables, later evaluations and figures, with no word about any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import cli
from analysis.frames.gather import gather
from hvae_core.data import load_dataset
from hvae_core.evaluation.evaluate import evaluate
from sweeps.ledger.ledger import Ledger
from sweeps.trained.load import load_cell

METHODS = ["vae", "hvae", "lvae", "lvae+skip", "lvae+ou", "biva", "biva+ou", "vampprior"]


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)


def plot(*arguments: str) -> Result:
    return CliRunner().invoke(cli.plot, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MLPs and all methods, a few steps of each on glyphs."""
    out = tmp_path_factory.mktemp("systems") / "results"
    models = ["--model", "mlp2x4h8", "mlp3x4h8", "--datasets", "glyphs", "--pseudo-inputs", "6"]
    training = ["--steps", "6", "--batch-size", "8", "--ll-examples", "3", "--eval-every", "3"]
    asked = sweep("methods", *models, *training, "--methods", *METHODS, "--plan-only", "--out", str(out))
    assert asked.exit_code == 0, asked.stderr
    assert "note: left out, system: 'vampprior' has one or two layers, not the 3 of 'mlp3x4h8'" in asked.stderr
    worked = sweep("work", str(out))
    assert worked.exit_code == 0, worked.stderr
    return out


def test_every_pair_that_can_be_is_a_cell(results: Path) -> None:
    frame = gather([results]).frame
    found = {(model, method) for model, method in zip(frame["model"], frame["method"], strict=True)}
    assert found == {(model, method) for model in ("mlp2x4h8", "mlp3x4h8") for method in METHODS} - {
        ("mlp3x4h8", "vampprior")
    }
    assert set(frame["state"]) == {"complete"}
    assert frame.loc[frame["method"] == "vampprior", "pseudo_inputs"].tolist() == [6]


def test_ids_of_the_serial_hierarchy_are_what_they_were(results: Path) -> None:
    """The new settings enter a configuration only where they are not the default."""
    for record in Ledger(results).records():
        named = {"system", "pseudo_inputs"} & record.cell.config.keys()
        method = record.cell.member.objective.method
        assert named == (set() if method in ("vae", "hvae") else {"system"} | ({"pseudo_inputs"} & named)), method


def test_models_come_back_from_their_weights(results: Path) -> None:
    data = load_dataset("glyphs")
    for record in list(Ledger(results).records())[::3]:
        trained = load_cell(results / "cells" / record.cell.id)
        metrics = evaluate(trained.model, torch.from_numpy(data.test), [record.cell.member.seed], "test")
        assert record.result is not None
        assert float(metrics.elbo[0]) == pytest.approx(record.result["elbo"], rel=1e-5)
        assert metrics.kl[0].tolist() == pytest.approx(
            [record.result[f"kl_{i + 1}"] for i in range(metrics.kl.shape[1])], rel=1e-3, abs=1e-4
        )


def test_later_evaluations_take_them(results: Path) -> None:
    bound = sweep("evaluate", str(results), "--samples", "20", "--examples", "5")
    assert bound.exit_code == 0, bound.stderr
    information = sweep("evaluate", str(results), "--what", "information", "--paths", "4", "--examples", "20")
    assert information.exit_code == 0, information.stderr
    frame = gather([results]).frame
    assert frame["ll_20"].notna().all()
    assert frame["info_top"].notna().all()


def test_tables_and_figures_name_them(results: Path, tmp_path: Path) -> None:
    for command in ("table", "training", "samples", "phase-transition", "information", "spectrum"):
        out = ["--out", str(tmp_path), *([] if command == "table" else ["--format", "png"])]
        done = plot(command, str(results), *out)
        assert done.exit_code in (0, 4), f"{command}: {done.stderr}"
    table = (tmp_path / "table.md").read_text()
    for name in ("| VAE ", "| HVAE ", "| LVAE ", "| LVAE+ ", "| LVAE + OU ", "| BIVA ", "| BIVA + OU ", "| VampPrior "):
        assert name in table, name
    first = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("| mlp2x4h8")]
    assert first[0] == "VAE", "the serial hierarchy first"


def test_a_sweep_over_rho_of_a_system(tmp_path: Path) -> None:
    done = sweep(
        *("rho", "--system", "lvae", "--model", "mlp2x4h8", "--datasets", "glyphs", "--rho", "0.5", "1"),
        *("--steps", "3", "--plan-only", "--out", str(tmp_path / "r")),
    )
    assert done.exit_code == 0, done.stderr
    methods = {record.cell.member.objective.method for record in Ledger(tmp_path / "r").records()}
    assert methods == {"lvae", "lvae+ou"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("rho", "--system", "vampprior", "--model", "mlp4x4"), "'vampprior' has one or two layers"),
        (("rho", "--system", "ladder"), "ladder"),
        (("rho", "--pseudo-inputs", "9"), "pseudo-inputs: 9"),
        (("rho", "--system", "lvae", "--model", "resnet2x2x7x7skip"), "has skips, which are hvae's"),
        (("methods", "--methods", "biva+skip"), "methods: 'biva+skip' is not allowed"),
        (("methods", "--methods", "hvae+ou"), "methods: 'hvae+ou' is not allowed"),
        (("methods", "--methods", "vampprior", "--pseudo-inputs", "0", "--model", "mlp2x4"), "pseudo-inputs: 0"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    done = sweep(*arguments, "--datasets", "glyphs", "--dry-run", "--out", str(tmp_path / "r"))
    assert done.exit_code == 2
    assert line in done.stderr
