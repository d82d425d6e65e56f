from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli
from analysis.critical.rule import LARGEST_GAP
from sweeps.ledger.ledger import Ledger
from sweeps.options.presets import PRESETS


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)


def planned(*arguments: str) -> list[dict[str, Any]]:
    """Plan a request and return the configuration of its cells."""
    done = sweep(*arguments, "--plan-only", "--out", "out")
    assert done.exit_code == 0, done.stderr
    return [record.cell.config for record in Ledger(Path("out").absolute()).records()]


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.command != "memory"])
@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_every_preset_is_a_request_and_says_what_it_is(name: str, quick: list[str]) -> None:
    """On embedded data, since that of some presets may not be here."""
    command, bits = PRESETS[name].command, ["--datasets", "mnist", "--binarise", "static", "--mixture", "1"]
    sizes = ["--model", "resnet2x4x14x14"] if name == "table5" else []  # for images of 28x28
    result = sweep(command, "--preset", name, *quick, *bits, *sizes, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert f"{name}: --" in result.stderr
    assert "--datasets mnist" in result.stderr, "what is typed beside it wins"


def test_the_papers_figure_1_is_what_the_paper_says() -> None:
    cells = planned("rho", "--preset", "figure1-left", "--datasets", "mnist")
    assert {cell["model"] for cell in cells} == {"mlp4x40"}
    assert {cell["steps"] for cell in cells} == {100_000}
    rhos = sorted({cell["rho"] for cell in cells})
    assert (len(rhos), rhos[0], rhos[-1]) == (21, 0, 1)
    assert max(after - before for before, after in pairwise(rhos) if before >= 0.9) < 0.0101, "where these models fall"
    assert max(after - before for before, after in pairwise(rhos) if before >= 0.7) < LARGEST_GAP + 1e-9


def test_the_papers_tables_have_its_methods() -> None:
    cells = planned("methods", "--preset", "table4")
    assert {cell["steps"] for cell in cells} == {1_000_000}
    found = {(c["rho"], str(c["kl_anneal"]), c["free_bits"], c["iwae_k"]) for c in cells}
    ramp = "[10000, 500000]"
    assert found == {
        *((1.0, "None", floor, 1) for floor in (None, 0.5, 1.0, 2.0, 3.0)),
        *((1.0, ramp, None, 1), (1.0, "None", None, 5), (0.8, "None", None, 1), (0.8, ramp, None, 1)),
    }


def test_figure_3_is_depth_by_width_with_and_without_smoothing() -> None:
    cells = planned("depth-width", "--preset", "figure3", "--depths", "1:2", "--widths", "10,20")
    assert len(cells) == 8
    assert {cell["model"] for cell in cells} == {"mlp1x10", "mlp1x20", "mlp2x10", "mlp2x20"}
    assert {cell["rho"] for cell in cells} == {0.8, 1.0}


def test_settings_win_in_order_of_strength(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line over environment over file over the preset's small form over the preset over defaults."""
    (here / "s.toml").write_text('preset = "figure2"\nquick = true\nsteps = 70\nlr = 0.5\nbatch-size = 9\n')
    monkeypatch.setenv("HVAE_LR", "0.25")
    cells = planned("methods", "--config", "s.toml", "--batch-size", "11")
    assert {(c["steps"], c["lr"], c["batch_size"], c["model"]) for c in cells} == {(70, 0.25, 11, "mlp4x16h64")}
    assert {c["rho"] for c in cells} == {0.8, 0.9, 1.0}
    assert len({c["seed"] for c in cells}) == 3


def test_the_written_request_repeats_its_own_command_and_no_other(here: Path) -> None:
    arguments = ["--depths", "1:2", "--widths", "3", "--hidden", "5", "--datasets", "mnist", "--steps", "7"]
    assert sweep("depth-width", *arguments, "--plan-only", "--out", "one").exit_code == 0
    again = sweep("depth-width", "--config", "one/sweep.toml", "--dry-run", "--json")
    facts = json.loads(again.stdout)
    assert (facts["cells"], facts["new"]) == (4, 0)
    refused = sweep("rho", "--config", "one/sweep.toml", "--dry-run")
    assert refused.exit_code == 2
    assert "hvae-sweep depth-width" in refused.stderr


def test_a_preset_of_another_command_is_refused() -> None:
    refused = sweep("rho", "--preset", "table3", "--dry-run")
    assert refused.exit_code == 2
    assert "figure1-left" in refused.stderr


def test_matched_beta_is_a_sweep_of_unsmoothed_models() -> None:
    cells = planned("rho", "--datasets", "mnist", "--rho", "0", "0.5", "1", "--beta-top", "matched", "--steps", "5")
    assert sorted((c["rho"], c["beta_top"]) for c in cells) == [(1.0, 0.2), (1.0, 0.4), (1.0, 1.0)]
