"""Sweeps from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sweeps
from hvae_core.checks import SpecError
from sweeps.ledger.ledger import Ledger
from sweeps.run_command import SweepError, _option

TINY: dict[str, Any] = {"model": "mlp2x3h6", "datasets": ["glyphs"], "steps": 4, "batch_size": 8, "ll_examples": 2}


@pytest.mark.ray
def test_a_sweep_is_run_and_the_same_call_runs_nothing_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = sweeps.run("rho", out=tmp_path / "r", rho=[0.5, 1], seeds=1, **TINY)
    assert where == tmp_path / "r"
    assert "2 new" in capfd.readouterr().err
    results = {record.cell.id: record.result for record in Ledger(where).records(complete=True)}
    assert len(results) == 2
    sweeps.run("rho", out=where, quiet=True, rho=(0.5, 1), seeds=1, fail_fast=True, null=None, **TINY)
    assert capfd.readouterr().err == ""
    assert {record.cell.id: record.result for record in Ledger(where).records(complete=True)} == results


def test_settings_are_written_as_they_are_typed() -> None:
    assert _option("ou_samples", range(2, 4)) == ["--ou-samples", "2", "3"]
    assert _option("null", True) == ["--null"]
    assert _option("null", False) == _option("kl_anneal", None) == []
    assert _option("lr", 2e-3) == ["--lr", "0.002"]


def test_a_setting_that_is_not_allowed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="rho: 1.5 is not allowed"):
        sweeps.run("rho", out=tmp_path / "r", quiet=True, rho=1.5, **TINY)
    with pytest.raises(SpecError, match="No such option"):
        sweeps.run("rho", out=tmp_path / "r", quiet=True, rhoo=1, **TINY)
    assert not (tmp_path / "r").exists()


def test_a_sweep_that_cannot_be_says_its_status(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises((SweepError, SpecError), match="file"):
        sweeps.run("rho", out=tmp_path / "file", quiet=True, rho=1, **TINY)
