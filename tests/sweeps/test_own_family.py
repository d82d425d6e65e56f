"""A user's own family on its way through a sweep: planned, trained by a worker, gathered, loaded, and refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import cli
from analysis.frames.gather import gather
from hvae_core.checks import SpecError
from hvae_core.families import own
from sweeps import load_cell
from sweeps.ledger.ledger import Ledger

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "leaky.py"
REQUEST = ["rho", "--datasets", "bars.npz", "--rho", "0.5", "1", "--steps", "6", "--batch-size", "8"]


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_images: Callable[..., Path]) -> Path:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "bars.npz")
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "leaky_swept.py").write_text(EXAMPLE.read_text())
    monkeypatch.syspath_prepend(str(folder))
    forget()
    return folder / "leaky_swept.py"


def forget() -> None:
    """Begin as a new process would."""
    sys.modules.pop("leaky_swept", None)
    own._load.cache_clear()


def test_it_is_trained_gathered_and_loaded_like_any_other(module: Path) -> None:
    both = [*REQUEST, "--model", "leaky_swept:Leaky", "mlp2x3h6", "--ll-examples", "5"]
    assert sweep(*both, "--plan-only").exit_code == 0
    done = sweep("work", "results")
    assert done.exit_code == 0, done.stderr
    forget()
    frame = gather([Path("results")]).frame
    assert "leaky_swept" not in sys.modules, "reading results imports nothing of the user's"
    ours = frame[frame["model"] == "leaky_swept:Leaky"]
    assert ours["family"].tolist() == ["own", "own"]
    assert ours["latents"].tolist() == ["8-8", "8-8"]
    assert ours["model_code"].str.startswith("sha256:").all()
    assert ours["state"].tolist() == ["complete", "complete"]
    assert frame[frame["model"] == "mlp2x3h6"][["model_code", "latents"]].isna().all(axis=None)
    loaded = load_cell(Path("results/cells") / ours["cell_id"].iloc[0]).model
    assert loaded.generate([torch.randn(1, 3, *shape) for shape in loaded.latents]).shape == (1, 3, 1, 4, 4)
    again = sweep(*both)
    assert again.exit_code == 0
    assert "complete: 4" in again.stdout


def test_code_that_has_changed_since_is_refused_and_the_cells_stay_pending(module: Path) -> None:
    assert sweep(*REQUEST, "--model", "leaky_swept:Leaky", "--plan-only").exit_code == 0
    module.write_text(module.read_text().replace("64", "32"))
    forget()
    done = sweep("work", "results")
    assert done.exit_code == 1
    assert "model: 'leaky_swept:Leaky' is sha256:" in done.stderr
    assert "Traceback" not in done.stderr
    assert {record.state for record in Ledger(Path("results").absolute()).records()} == {"pending"}


def test_networks_that_are_no_good_are_refused_before_anything_is_planned(module: Path) -> None:
    module.write_text(module.read_text().replace("self.out(F.leaky", "self.out.bias.mean(0) + self.out(F.leaky"))
    forget()
    refused = sweep(*REQUEST, "--model", "leaky_swept:Leaky", "--plan-only")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: model: 'leaky_swept:Leaky': members mix in the posterior of layer 1")
    assert refused.stderr.count("\n") == 1
    assert not Path("results").exists()


def test_a_model_whose_code_is_gone_is_not_loaded(module: Path) -> None:
    assert sweep(*REQUEST, "--model", "leaky_swept:Leaky", "--plan-only").exit_code == 0
    assert sweep("work", "results").exit_code == 0
    module.unlink()
    forget()
    cell = next(iter(Ledger(Path("results").absolute()).cell_ids()))
    with pytest.raises(SpecError, match="'leaky_swept:Leaky' cannot be imported"):
        load_cell(Path("results/cells") / cell)
