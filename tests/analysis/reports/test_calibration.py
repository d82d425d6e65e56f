from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import cli
from sweeps.options.calibration import coins


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small calibration, trained by a worker as users train it."""
    out = tmp_path_factory.mktemp("calibration") / "results"
    words = ["calibrate", "--rho", "0.6:1:0.08", "--seeds", "2", "--steps", "60", "--out", str(out), "--plan-only"]
    for arguments in (words, ["work", str(out)], words):
        done = CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert "complete: 144" in done.stdout
    assert "pending: 0" in done.stdout
    return out


def test_measured_stands_beside_exact(trained: Path) -> None:
    done = CliRunner().invoke(cli.plot, ["calibration", str(trained)], catch_exceptions=False)
    assert done.exit_code == 0
    table = pd.read_csv(trained / "figures" / "calibration.csv")
    assert len(table) == 3 * 2 * 2
    one = table[(table["model"] == "linear0.6") & (table["ou_samples"] == 5)].set_index("beta_top")
    assert one["exact_first"].to_dict() == pytest.approx({1.0: 0.7071, 0.9: 0.7638}, abs=1e-4)
    cascade = table[table["modes"] == 8]
    assert (cascade["exact_first"] > cascade["exact_last"] + 0.2).all()
    cells = pd.read_csv(trained / "figures" / "calibration-cells.csv")
    assert len(cells) == 144
    errors = (cells["kl_top"] - cells["kl_exact"]).groupby([cells["model"], cells["ou_samples"], cells["beta_top"]])
    largest = errors.agg(lambda e: e.abs().max())
    assert sorted(table["kl_error_largest"].abs()) == pytest.approx(sorted(largest))
    assert "intervals hold the exact critical rho" in done.stdout
    assert (trained / "figures" / "calibration.png").is_file()


def test_linear_models_have_no_baseline(trained: Path) -> None:
    """Their decoder is constant, so that independent pixels are no measure of them."""
    assert "independent pixels" not in CliRunner().invoke(cli.plot, ["calibration", str(trained)]).output
    assert pd.read_csv(trained / "results.csv")["baseline"].isna().all()


def test_where_there_is_no_linear_model_the_command_is_named(tmp_path: Path, make_results: object) -> None:
    make_results(tmp_path)  # type: ignore[operator]
    done = CliRunner().invoke(cli.plot, ["calibration", str(tmp_path)])
    assert done.exit_code == 4
    assert "hvae-sweep calibrate trains them" in done.output


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    words = ["calibrate", "--dry-run", "--json", "--out", str(tmp_path / "results")]
    done = CliRunner().invoke(cli.sweep, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert '"cells": 756' in done.stdout
    assert not (tmp_path / "results").exists()


def test_a_linear_model_that_is_not_solved_is_held_against_nothing(tmp_path: Path) -> None:
    """On other images its z_1 has another variance, and with free bits the optimum is another."""
    tiny = ["--rho", "0.8", "--steps", "2", "--ll-examples", "0", "--plan-only"]
    out = str(tmp_path / "results")
    data = str(coins(tmp_path))
    for words in (["--datasets", "glyphs"], ["--datasets", data, "--free-bits", "0.1"]):
        assert (
            CliRunner().invoke(cli.sweep, ["rho", "--model", "linear0.5", *words, *tiny, "--out", out]).exit_code == 0
        )
    assert CliRunner().invoke(cli.sweep, ["work", out]).exit_code == 0
    done = CliRunner().invoke(cli.plot, ["calibration", out])
    assert done.exit_code == 4
    assert "are not solved; hvae-sweep calibrate trains those that are" in done.stderr
    words = ["rho", "--model", "linear0.5", "--datasets", data, *tiny, "--out", out]
    assert CliRunner().invoke(cli.sweep, words).exit_code == 0
    assert CliRunner().invoke(cli.sweep, ["work", out]).exit_code == 0
    done = CliRunner().invoke(cli.plot, ["calibration", out])
    assert done.exit_code == 0
    assert "2 curves are left out" in done.stderr
    assert len(pd.read_csv(tmp_path / "results" / "figures" / "calibration.csv")) == 1
