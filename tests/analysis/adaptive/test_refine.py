"""Adaptive sweeps from the command line: rounds that repeat, that workers share, and that end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import cli
from analysis.adaptive.refine import Refinement
from analysis.critical.linear import critical_rho, top_kl
from hvae_core.checks import SpecError
from hvae_core.families.registry import parse_model
from hvae_core.spec import ObjectiveSpec, TrainSpec
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.options.calibration import coins

RATIOS = {"mnist": 0.8, "glyphs": 0.6}


def source(name: str) -> DataSource:
    return DataSource(name, f"{name}:embedded", name, "embedded", "static", name * 8, (1, 28, 28), 2, 100)


def start(**changes: Any) -> SweepSpec:
    objectives = tuple(ObjectiveSpec(rho=rho) for rho in (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0))
    data = tuple(map(source, RATIOS))
    known: dict[str, Any] = {"objectives": objectives, "data": data, "models": (parse_model("mlp2x4h8"),)}
    return SweepSpec(**{**known, "seeds": (0, 1, 2), "trains": (TrainSpec(10),), **changes})


def exact(cell: Cell) -> float:
    """Top KL of the solved model, of another ratio for each data set, and a shift of each seed."""
    ratio = RATIOS[cell.dataset] + 0.001 * (cell.member.seed % 3 - 1)
    rho = cell.member.objective.rho
    return float(top_kl(np.array([rho]), [ratio] * 4, 5)[0])


def train_all(refinement: Refinement, kl: Callable[[Cell], float]) -> tuple[dict[str, float], list[list[str]]]:
    """Run rounds to the end; returns the cells by id and each round's ids."""
    done: dict[str, float] = {}
    rounds: list[list[str]] = []
    while True:
        progress = refinement.replay(lambda cell, done=done: done.get(cell.id))  # type: ignore[misc]
        if not progress.pending:
            return done, rounds
        ids = [cell.id for spec in progress.pending for cell in spec.cells()]
        rounds.append(ids)
        done |= {cell.id: kl(cell) for spec in progress.pending for cell in spec.cells()}


def test_the_rounds_end_with_every_interval_narrow_enough() -> None:
    refinement = Refinement(start(), 0.02)
    done, rounds = train_all(refinement, exact)
    assert len(rounds) > 1
    lines = refinement.replay(lambda cell: done[cell.id]).lines
    for name, ratio in RATIOS.items():
        (line,) = [line for line in lines if f"{name}:embedded" in line]
        low, high = json.loads(line[line.index("[") : line.index("]") + 1])
        assert high - low <= 0.0201
        assert low <= critical_rho(ratio, 5) <= high
    assert f"{len(done)} cells" in lines[-1]


def test_a_round_that_was_cut_off_is_the_same_round_again() -> None:
    refinement = Refinement(start(), 0.02)
    done, rounds = train_all(refinement, exact)
    for n, ids in enumerate(rounds):
        before = {cell_id for earlier in rounds[:n] for cell_id in earlier}
        for kept in (0, 1, len(ids) - 1):
            some = before | set(ids[:kept])
            progress = refinement.replay(lambda cell, some=some: done[cell.id] if cell.id in some else None)  # type: ignore[misc]
            again = {cell.id for spec in progress.pending for cell in spec.cells()}
            assert set(ids[kept:]) <= again <= set(ids)
            assert progress.number == n + 1


def test_cells_that_failed_are_done_without() -> None:
    def some(cell: Cell) -> float:
        return math.nan if cell.dataset == "glyphs" and cell.member.objective.rho == 0.7 else exact(cell)

    done, _ = train_all(Refinement(start(), 0.02), some)
    assert sum(map(math.isnan, done.values())) == 3
    everything_failed, rounds = train_all(Refinement(start(), 0.02), lambda cell: math.nan)
    assert len(rounds) == 1
    assert len(everything_failed) == 42


def test_the_budget_is_never_exceeded() -> None:
    done, _ = train_all(Refinement(start(), 0.005, budget=70), exact)
    assert 42 <= len(done) <= 70
    lines = Refinement(start(), 0.005, budget=70).replay(lambda cell: done[cell.id]).lines
    assert "over the budget of 70" in lines[-1]


@pytest.mark.parametrize(
    ("changes", "target", "budget", "words"),
    [
        ({}, 1.5, None, "refine: 1.5"),
        ({}, 0.02, 41, "the first round alone has 42 cells"),
        ({"seeds": (0, 1)}, 0.02, None, "seeds: 2"),
        ({"models": (parse_model("mlp2x4h8"), parse_model("mlp3x4h8"))}, 0.02, None, "one at a time"),
        ({"objectives": (ObjectiveSpec(rho=0.5), ObjectiveSpec(rho=0.6, ou_samples=9))}, 0.02, None, "more than rho"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], target: float, budget: int | None, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Refinement(start(**changes), target, budget)


def run(*words: str) -> Result:
    done = CliRunner().invoke(cli.sweep, [*words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_workers_take_the_rounds_and_the_same_command_finds_nothing_left(tmp_path: Path) -> None:
    out = str(tmp_path / "results")
    data = ["--model", "linear0.6", "--datasets", str(coins(tmp_path)), "--steps", "150", "--lr", "0.02"]
    words = ["rho", *data, "--refine", "0.3", "--batch-size", "64", "--ll-examples", "0", "--out", out]
    planned = run(*words, "--plan-only")
    assert "round: 1" in planned.stdout
    assert "pending: 21" in planned.stdout
    worked = run("work", out)
    trained = len(Ledger(Path(out)).cell_ids())
    assert "done: " in worked.stderr or "stopped" in worked.stderr
    again = run(*words, "--json")
    facts = json.loads(again.stdout)
    assert (facts["pending"], facts["cells"]) == (0, trained)
    assert "top KL" not in again.stderr
    assert len(Ledger(Path(out)).requests()) == facts["round"]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for words, said in (
        (["--budget", "5"], "budget: 5 is for --refine"),
        (["--refine", "0.02", "--seeds", "2", "--quick"], "seeds: 2"),
        (["--refine", "0.02", "--workers", "2"], "workers: 2 is for --plan-only"),
    ):
        done = CliRunner().invoke(cli.sweep, ["rho", *words, "--dry-run", "--out", str(tmp_path)])
        assert done.exit_code == 2
        assert said in done.stderr
        assert "Traceback" not in done.output


def test_cells_that_failed_in_an_earlier_round_count_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last round, or nothing, was trained by this command."""
    out = str(tmp_path / "results")
    data = ["--model", "linear0.6", "--datasets", str(coins(tmp_path)), "--steps", "20", "--lr", "0.02"]
    words = ["rho", *data, "--refine", "0.3", "--ll-examples", "0", "--out", out]
    run(*words, "--plan-only")
    assert CliRunner().invoke(cli.sweep, ["work", out]).exit_code == 0
    ledger = Ledger(Path(out))
    cell = next(record.cell for record in ledger.records() if record.cell.member.objective.rho == 0.25)
    (ledger.cell_path(cell.id) / "result.json").unlink()
    ledger.fail(cell.id, "diverged", ["it went wrong"])
    assert CliRunner().invoke(cli.sweep, words).exit_code == 3
