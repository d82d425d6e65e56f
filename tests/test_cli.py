from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from rich.live import Live

import cli
from sweeps.commands import looking
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger
from sweeps.watching.status import STATES, Curve, Status

TINY = ["--model", "mlp2x3h6", "--rho", "0.5", "1", "--steps", "6", "--batch-size", "8", "--ll-examples", "5"]


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)


def plot(*arguments: str) -> Result:
    return CliRunner().invoke(cli.plot, arguments, catch_exceptions=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_images: Callable[..., Path]) -> Path:
    """An empty working directory with a data set, and a few things that are not one."""
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "bars.npz")
    write_images(tmp_path / "more.npz", test=31)
    (tmp_path / "broken.npz").write_bytes((tmp_path / "bars.npz").read_bytes()[:-200])
    (tmp_path / "file").write_text("not a directory")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.toml").write_text("steps = ")
    (tmp_path / "unknown.toml").write_text("colour = 'red'\n")
    tomls = {"half": "steps = 1.5", "true": "steps = true", "date": "steps = 1979-05-27"}
    for name, text in {**tomls, "number": "out = 5", "flag": "fail_fast = 1"}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    np.savez(
        tmp_path / "one.npz", train=np.eye(4, dtype=np.uint8)[None].repeat(4, 0), test=np.eye(4, dtype=np.uint8)[None]
    )
    np.savez(tmp_path / "nan.npz", train=np.full((4, 2, 2), np.nan), test=np.zeros((4, 2, 2)))
    np.savez(tmp_path / "flat.npz", train=np.zeros(4, np.uint8), test=np.zeros(4, np.uint8))
    return tmp_path


def worked(here: Path, *more: str, out: str = "results") -> None:
    """Plan a tiny sweep and train it in this process, without Ray."""
    planned = sweep("rho", *TINY, "--datasets", "bars.npz", "--out", out, "--plan-only", *more)
    assert planned.exit_code == 0, planned.stderr
    done = sweep("work", out)
    assert done.exit_code == 0, done.stderr


RHO = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--dry-run"]
MISTAKES: list[tuple[list[str], str]] = [
    (["rho", "--model", "mlp4"], "mlp4"),
    (["rho", "--model", "resnet1x8x7x7skip"], "resnet1x8x7x7skip"),
    (["rho", "--model", "conv3x8x5x5", "--datasets", "bars.npz"], "conv3x8x5x5"),
    (["rho", "--model", "mlp0x4"], "mlp0x4"),
    (["rho", "--model", "mlp4x40", "mlp4x40h200"], "mlp4x40"),
    (["rho", "--model", ""], "model"),
    (["rho", "--model", "mlp9x99999999"], "10^9"),
    (["rho", "--datasets", "nosuch"], "nosuch"),
    (["rho", "--datasets", "mnist:nosuch"], "nosuch"),
    (["rho", "--datasets", "no.npz"], "no.npz"),
    (["rho", "--datasets", "broken.npz"], "broken.npz"),
    (["rho", "--datasets", "nan.npz"], "nan.npz"),
    (["rho", "--datasets", "flat.npz"], "flat.npz"),
    (["rho", "--datasets", "bars.npz", "bars.npz"], "twice"),
    (["rho", "--datasets", "bars.npz", "--binarise", "dynamic"], "static"),
    (["rho", "--datasets", "mnist", "--binarise", "sometimes"], "sometimes"),
    (["rho", "--datasets", "omniglot:burda", "--data-dir", "empty"], "omniglot:burda"),
    (["rho", "--datasets", "mnist", "--data-dir", "nowhere"], "nowhere"),
    (["rho", "--datasets"], "--datasets"),
    ([*RHO, "--rho", "1.2"], "1.2"),
    ([*RHO, "--rho", "0:2:1"], "2.0"),
    ([*RHO, "--rho=-0.5"], "-0.5"),
    ([*RHO, "--rho", "0:1:0"], "0:1:0"),
    ([*RHO, "--rho", "0:1:-0.1"], "-0.1"),
    ([*RHO, "--rho", "a"], "'a'"),
    ([*RHO, "--rho", "nan"], "nan"),
    ([*RHO, "--ou-samples", "0"], "ou-samples"),
    ([*RHO, "--ou-samples", "five"], "five"),
    ([*RHO, "--smoothing", "some"], "mean_std"),
    ([*RHO, "--seeds", "0"], "seeds"),
    ([*RHO, "--seeds", "0,0"], "twice"),
    ([*RHO, "--seeds", "-1"], "-1"),
    ([*RHO, "--steps", "0"], "steps"),
    ([*RHO, "--steps", "1.5"], "1.5"),
    ([*RHO, "--batch-size", "0"], "batch-size"),
    ([*RHO, "--lr", "0"], "lr"),
    ([*RHO, "--lr", "nan"], "lr"),
    ([*RHO, "--eval-every", "-1"], "eval-every"),
    ([*RHO, "--ll-examples", "-1"], "ll-examples"),
    ([*RHO, "--precision", "half"], "half"),
    ([*RHO, "--keep", "all"], "all"),
    ([*RHO, "--pack", "0"], "pack"),
    ([*RHO, "--pack", "many"], "many"),
    ([*RHO, "--cpus-per-trial", "0"], "cpus-per-trial"),
    ([*RHO, "--gpus-per-trial", "-1"], "gpus-per-trial"),
    ([*RHO, "--gpus-per-trial", "nan"], "gpus-per-trial"),
    ([*RHO, "--out", "file"], "file"),
    ([*RHO, "--out", "file/below"], "file"),
    ([*RHO, "--out", ""], "out"),
    ([*RHO, "--out", "dangling"], "dangling"),
    ([*RHO, "--data-dir", ""], "data-dir"),
    ([*RHO, "--config", ""], "config"),
    ([*RHO, "--config", "half.toml"], "steps: '1.5'"),
    ([*RHO, "--config", "true.toml"], "steps = True"),
    ([*RHO, "--config", "date.toml"], "steps"),
    ([*RHO, "--config", "number.toml"], "out = 5"),
    ([*RHO, "--config", "flag.toml"], "fail_fast = 1"),
    (["rho", "--datasets", "one.npz"], "one image"),
    ([*RHO, "--config", "no.toml"], "no.toml"),
    ([*RHO, "--config", "bad.toml"], "bad.toml"),
    ([*RHO, "--config", "unknown.toml"], "colour"),
    ([*RHO, "--colour"], "--colour"),
    (["nosuch"], "nosuch"),
    (["work", "nowhere"], "nowhere"),
    (["work", "file"], "file"),
    (["methods", "--methods", "vea"], "vea"),
    (["methods", "--methods", "free-bits"], "free-bits"),
    (["methods", "--methods", "kl-anneal"], "kl-anneal"),
    (["methods", "--methods", "hvae", "--rho", "1"], "rho"),
    (["methods", "--methods", "vae", "vae"], "twice"),
    (["depth-width", "--depths", "0"], "depths: 0"),
    (["depth-width", "--depths", "a"], "'a'"),
    (["depth-width", "--widths", "4,4"], "twice"),
    (["rho", "--beta-top", "x"], "beta-top"),
    (["rho", "--beta-top=-1"], "beta-top"),
    (["rho", "--kl-anneal", "5"], "kl-anneal"),
    (["rho", "--free-bits", "0"], "free-bits"),
    (["rho", "--iwae-k", "0"], "iwae-k"),
    (["rho", "--preset", "figure9"], "figure9"),
    (["evaluate", "nowhere"], "nowhere"),
    (["evaluate", "empty", "--samples", "0"], "samples"),
    (["status", "nowhere"], "nowhere"),
    (["status", "file"], "file"),
    (["status", "empty"], "empty"),
    (["status", ""], "directory"),
    (["show", "nosuch"], "nosuch"),
    (["show", ""], "cell"),
    (["show", "0123", "--out", "file"], "file"),
    (["clean", "empty"], "empty"),
    (["clean", "file"], "file"),
    (["clean", "empty", "--remove", "cells"], "cells"),
    (["data", "fetch", "nosuch"], "nosuch"),
    (["rho", "--kl-anneal", f"{10**400}:5"], "kl-anneal"),
    (["data", "list", "--data-dir", "nowhere"], "nowhere"),
]
PLOT_MISTAKES: list[tuple[list[str], int, str]] = [
    (["phase-transition"], 2, "RESULTS"),
    (["phase-transition", "nowhere"], 2, "nowhere"),
    (["phase-transition", "file"], 2, "file"),
    (["phase-transition", "empty"], 4, "empty"),
    (["phase-transition", "empty", "--out", "file"], 2, "file"),
    (["phase-transition", "empty", "--format", "gif"], 2, "gif"),
    (["nosuch"], 2, "nosuch"),
    *((["collapse", *more], code, text) for more, code, text in (([], 2, "RESULTS"), (["empty"], 4, "empty"))),
    *((["training", *more], code, text) for more, code, text in (([], 2, "RESULTS"), (["empty"], 4, "empty"))),
    *((["table", *more], code, text) for more, code, text in (([], 2, "RESULTS"), (["empty"], 4, "empty"))),
    *((["samples", *more], code, text) for more, code, text in (([], 2, "RESULTS"), (["empty"], 4, "empty"))),
    (["collapse", "empty", "--active", "all"], 2, "all"),
    (["training", "empty", "--rho", "x"], 2, "x"),
    (["table", "empty", "--style", "html"], 2, "html"),
]


def is_one_line(result: Result, text: str) -> None:
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert text in lines[0]


@pytest.mark.parametrize(
    ("arguments", "text"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_is_one_line_and_exit_2(here: Path, arguments: list[str], text: str) -> None:
    before = sorted(here.iterdir())
    result = sweep(*arguments)
    assert result.exit_code == 2, result.output
    is_one_line(result, text)
    assert sorted(here.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize(
    ("arguments", "code", "text"), PLOT_MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_a_mistake_in_plotting_is_one_line(here: Path, arguments: list[str], code: int, text: str) -> None:
    result = plot(*arguments)
    assert result.exit_code == code, result.output
    is_one_line(result, text)


def test_a_dry_run_counts_and_writes_nothing(here: Path) -> None:
    result = sweep(*RHO, "--rho", "0.5", "1", "--seeds", "3", "--json", "--pack", "2")
    facts = json.loads(result.stdout)
    assert facts.pop("data") == [str(here / "bars.npz")]
    assert facts.pop("resources")["cpus"] == 1
    assert facts.pop("estimate")["wall_seconds"] is None, "nothing was measured, so nothing is known"
    nothing = dict.fromkeys(("pending", "complete", "failed", "diverged", "stale"), 0)
    assert facts == {"cells": 6, "new": 6, **nothing, "packs": 3}
    assert not (here / "results").exists()
    table = sweep(*RHO, "--seeds", "3").stdout
    assert "cells: 63" in table
    assert "estimate: unknown" in table


def test_quick_is_what_it_says_and_any_flag_beside_it_wins(here: Path) -> None:
    quick = sweep("rho", "--quick", "--plan-only", "--out", "q")
    assert quick.exit_code == 0, quick.stderr
    (request,) = Ledger(here / "q").requests()
    resolved = request["request"]
    assert resolved["model"] == ["mlp4x16h64"]
    assert [data["asked"] for data in resolved["data"]] == ["mnist", "glyphs"]
    assert resolved["rho"] == [0, 0.5, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1]
    assert (resolved["steps"], resolved["batch_size"], resolved["lr"], resolved["seeds"]) == (3000, 64, 0.002, [0])
    sweep("rho", "--steps", "7", "--quick", "--datasets", "bars.npz", "--plan-only", "--out", "r")
    (request,) = Ledger(here / "r").requests()
    assert (request["request"]["steps"], request["request"]["batch_size"]) == (7, 64)
    assert [data["name"] for data in request["request"]["data"]] == ["bars"]


def test_precedence_is_command_line_environment_file_default(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "s.toml").write_text('datasets = "bars.npz"\nsteps = 11\nbatch-size = 12\nlr = 0.5\nrho = [0.5, 1]\n')
    monkeypatch.setenv("HVAE_STEPS", "21")
    monkeypatch.setenv("HVAE_BATCH_SIZE", "22")
    result = sweep("rho", "--config", "s.toml", "--steps", "31", "--plan-only")
    assert result.exit_code == 0, result.stderr
    (request,) = Ledger(here / "results").requests()
    resolved = request["request"]
    assert (resolved["steps"], resolved["batch_size"], resolved["lr"]) == (31, 22, 0.5)
    assert resolved["rho"] == [0.5, 1]
    assert {each["ou_samples"] for each in resolved["objectives"]} == {5}


@pytest.mark.parametrize("seeds", ["1", "2", "5,9", "7:7"])
def test_the_written_request_repeats_the_sweep_exactly(here: Path, seeds: str) -> None:
    (here / "𝄞.npz").write_bytes((here / "bars.npz").read_bytes())  # a name that JSON may escape as TOML may not
    first = sweep("rho", *TINY, "--datasets", "𝄞.npz", "--seeds", seeds, "--out", "one", "--plan-only")
    assert first.exit_code == 0, first.stderr
    assert tomllib.loads((here / "one" / "sweep.toml").read_text())["steps"] == [6]
    again = sweep("rho", "--config", "one/sweep.toml", "--out", "two", "--plan-only")
    assert again.exit_code == 0, again.stderr
    assert Ledger(here / "one").cell_ids() == Ledger(here / "two").cell_ids()
    (here / "one").rename(here / "moved")
    same = sweep("rho", "--config", "moved/sweep.toml", "--dry-run", "--json")
    assert json.loads(same.stdout)["new"] == 0, "a results directory's own request is about itself, wherever it is"


def test_a_worker_takes_a_planned_sweep_to_its_end(here: Path) -> None:
    worked(here, "--seeds", "2")
    ledger = Ledger(here / "results")
    assert {ledger.state(cell) for cell in ledger.cell_ids()} == {"complete"}
    header = (here / "results" / "results.csv").read_text().splitlines()[0].split(",")
    assert header[:4] == ["cell_id", "state", "dataset", "source"]
    assert (here / "results" / "results.parquet").exists()
    assert sweep("work", "results").exit_code == 0, "nothing left: nothing done"


def test_complete_cells_are_untouched_and_start_no_ray(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(here)
    ledger = Ledger(here / "results")
    files = [f for cell in ledger.cell_ids() for f in ledger.cell_path(cell).iterdir()]
    before = [(f, f.stat().st_mtime_ns) for f in files]
    monkeypatch.setitem(sys.modules, "sweeps.running.ray_tune", None)  # importing it would raise
    again = sweep("rho", *TINY, "--datasets", "bars.npz", "--json")
    assert again.exit_code == 0, again.stderr
    facts = json.loads(again.stdout)
    assert (facts["complete"], facts["cells"]) == (2, 2)
    assert [(f, f.stat().st_mtime_ns) for f in files] == before


def test_a_worker_names_a_damaged_configuration_and_the_request_repairs_it(here: Path) -> None:
    request = ["rho", *TINY, "--datasets", "bars.npz", "--plan-only"]
    assert sweep(*request).exit_code == 0
    ledger = Ledger(here / "results")
    config = ledger.cell_path(ledger.cell_ids()[0]) / "config.json"
    for damage in (config.read_text()[:50], None):
        config.unlink()
        if damage is not None:
            config.write_text(damage)
        stopped = sweep("work", "results")
        assert stopped.exit_code == 1
        (named,) = [line for line in stopped.stderr.splitlines() if line.startswith("error: ")]
        assert str(config.parent) in named
        assert "Traceback" not in stopped.stderr
        assert sweep(*request).exit_code == 0
    assert sweep("work", "results").exit_code == 0


def test_a_complete_request_writes_nothing_and_a_full_disk_costs_no_result(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every file refused: a complete request still ends with 0 and says what it could not write."""
    worked(here)

    def refuse(path: Path, content: bytes, **more: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    for module in (
        "sweeps.ledger.atomic_files",
        "sweeps.ledger.ledger",
        "sweeps.running.driver",
        "analysis.frames.results_table",
    ):
        monkeypatch.setattr(f"{module}.write_bytes", refuse)
    again = sweep("rho", *TINY, "--datasets", "bars.npz")
    assert again.exit_code == 0, again.stderr
    assert "results.csv and results.parquet were not written" in again.stderr


def test_nothing_typed_is_the_help_and_exit_2(here: Path) -> None:
    for result in (sweep(), plot()):
        assert result.exit_code == 2
        assert "Usage: " in result.stderr
    assert sweep("data").exit_code == 2


def test_failed_cells_give_exit_3_until_they_are_retried(here: Path) -> None:
    planned = sweep("rho", *TINY, "--lr", "1e30", "--datasets", "bars.npz", "--plan-only")
    assert planned.exit_code == 0
    done = sweep("work", "results")
    assert done.exit_code == 3
    assert "diverged" in done.stderr
    again = sweep("rho", *TINY, "--lr", "1e30", "--datasets", "bars.npz", "--json")
    assert again.exit_code == 3
    assert json.loads(again.stdout)["diverged"] == 2
    retry = sweep("rho", *TINY, "--lr", "1e30", "--datasets", "bars.npz", "--json", "--retry-failed", "--dry-run")
    assert json.loads(retry.stdout)["packs"] >= 1


def test_a_second_run_on_a_directory_says_who_holds_it_and_exits_5(here: Path) -> None:
    (here / "results").mkdir()
    with Claim(here / "results" / "claim"):
        result = sweep("rho", *TINY, "--datasets", "bars.npz")
    assert result.exit_code == 5
    is_one_line(result, f"process {os.getpid()}")


def test_a_name_that_would_mean_other_data_is_exit_2(here: Path, write_images: Callable[..., Path]) -> None:
    worked(here)
    write_images(here / "bars.npz", side=5)
    result = sweep("rho", *TINY, "--datasets", "bars.npz")
    assert result.exit_code == 2
    is_one_line(result, "bars.npz")


def test_plot_draws_what_is_there_and_prints_the_files(here: Path) -> None:
    worked(here)
    result = plot("phase-transition", "results/", "--format", "png", "svg", "--out", "figures")
    assert result.exit_code == 0, result.stderr
    for name in ("phase-transition.png", "phase-transition.svg", "phase-transition.csv"):
        assert (here / "figures" / name).stat().st_size > 100
        assert name in result.stdout
    filtered = plot("phase-transition", "results", "--datasets", "nosuch")
    assert filtered.exit_code == 4
    assert plot("phase-transition", "results", "--models", "mlp2x3h6").exit_code == 0
    assert (here / "results" / "figures" / "phase-transition.pdf").exists()


def test_every_figure_and_table_is_a_command(here: Path) -> None:
    arguments = ["--depths", "1:2", "--widths", "2,3", "--hidden", "5", "--rho", "0.5", "1", "--eval-every", "2"]
    small = ["--datasets", "bars.npz", "--steps", "6", "--batch-size", "8", "--ll-examples", "5"]
    planned = sweep("depth-width", *arguments, *small, "--plan-only")
    assert planned.exit_code == 0, planned.stderr
    assert sweep("work", "results").exit_code == 0
    for command, name in (("collapse", "collapse"), ("training", "training"), ("samples", "samples")):
        drawn = plot(command, "results", "--format", "svg")
        assert drawn.exit_code == 0, drawn.stderr
        assert (here / "results" / "figures" / f"{name}.svg").exists()
        assert (here / "results" / "figures" / f"{name}.csv").exists()
        assert f"{name}.csv" in drawn.stdout
    below = plot("samples", ".", "--format", "svg")
    assert below.exit_code == 0, below.stderr
    assert (here / "figures" / "samples.svg").read_bytes() == (
        here / "results" / "figures" / "samples.svg"
    ).read_bytes()
    later = sweep("evaluate", "results", "--samples", "20", "--examples", "5")
    assert later.exit_code == 0, later.stderr
    assert "L_20 of 8 cells: about" in later.stderr
    results = [line for line in later.stdout.splitlines() if ": L_20 " in line]
    assert len(results) == 8
    places = [(*line.split()[:2], float(line.split("rho ")[1].split()[0])) for line in results]
    assert places == sorted(places)
    header = (here / "results" / "results.csv").read_text().splitlines()[0]
    assert "ll_20,ll_20_ess,ll_20_examples,ll_20_se" in header
    table = plot("table", "results", "--style", "latex")
    assert table.exit_code == 0, table.stderr
    assert table.stdout.lstrip().startswith("\\begin{table")
    assert table.stdout == (here / "results" / "figures" / "table.tex").read_text(), (
        "a document is all there is to read"
    )


def test_planned_but_untrained_is_nothing_to_plot(here: Path) -> None:
    sweep("rho", *TINY, "--datasets", "bars.npz", "--plan-only")
    result = plot("phase-transition", "results")
    assert result.exit_code == 4
    is_one_line(result, "2 cells, 0 complete")


def test_data_list_knows_what_is_embedded(here: Path) -> None:
    found = json.loads(sweep("data", "list", "--json").stdout)
    assert found["mnist:embedded"]["found"] == "embedded"
    assert found["glyphs:embedded"]["found"] == "embedded"
    assert found["omniglot:lake"]["found"] is None
    assert "mnist:embedded" in sweep("data", "list").stdout
    assert sweep("data", "fetch", "mnist").exit_code == 0
    assert sweep("data", "fetch", "mnist", "--data-dir", "~nobody-of-this-name/x").exit_code == 0, (
        "a folder of that name"
    )


def test_a_plan_for_gpus_that_are_elsewhere_is_not_timed_here(here: Path) -> None:
    request = ["rho", *TINY, "--datasets", "bars.npz", "--plan-only", "--gpus-per-trial", "1", "--probe"]
    done = sweep(*request)
    assert done.exit_code == 0, done.stderr
    assert "no complete cell of mlp2x3h6, batch 8 on the GPUs elsewhere yet" in done.stdout


def test_a_folder_whose_name_is_no_text_is_recorded_all_the_same(here: Path) -> None:
    (here / "d\udcff\x7f").mkdir()
    done = sweep("rho", *TINY, "--datasets", "bars.npz", "--plan-only", "--data-dir", "d\udcff\x7f")
    assert done.exit_code == 0, done.stderr
    assert Ledger(here / "results").requests()[0]["settings"]["data_dir"].endswith("d\udcff\x7f")


def test_status_show_and_clean_speak_of_the_same_cells(here: Path) -> None:
    worked(here)
    (one, two) = Ledger(here / "results").cell_ids()
    (curve,) = json.loads(sweep("status", "results", "--json").stdout)["curves"]
    assert curve["counts"] == {"complete": 2, "failed": 0, "diverged": 0, "pending": 0}
    shown = {cell: json.loads(sweep("show", cell, "--json").stdout) for cell in (one, two)}
    found = sorted((facts["config"]["rho"], facts["result"]["kl_top"]) for facts in shown.values())
    assert [tuple(point) for point in curve["kl_top"]] == found
    assert "2 complete" in sweep("status", "results").stdout
    assert "2 complete" in sweep("status", "results", "--watch").stdout, "nothing pending: nothing to wait for"
    text = sweep("show", f"results/cells/{one}").stdout
    assert f"cell: {one}" in text
    assert "checksum:" in text
    before = json.loads(sweep("clean", "results", "--json").stdout)
    assert before["weights"]["items"] == 2
    removed = sweep("clean", "results", "--remove", "weights", "runs")
    assert removed.exit_code == 0
    assert json.loads(sweep("clean", "results", "--json").stdout)["weights"] == {"items": 0, "bytes": 0}
    again = json.loads(sweep("rho", *TINY, "--datasets", "bars.npz", "--dry-run", "--json").stdout)
    assert (again["complete"], again["stale"]) == (2, 0), "a cell without its weights is still complete"


def test_each_cell_becomes_one_run_in_a_logger_whoever_trains_it(here: Path) -> None:
    worked(here, "--log", "tensorboard")
    runs = {path.name for path in (here / "results" / "logs" / "tensorboard").iterdir()}
    assert runs == set(Ledger(here / "results").cell_ids())
    again = sweep("rho", *TINY, "--datasets", "bars.npz", "--log", "tensorboard", "mlflow")
    assert again.exit_code == 0, again.stderr
    assert len(list((here / "results" / "logs" / "mlflow").rglob("params"))) == 2, "a complete sweep is caught up with"


def test_a_dry_run_tells_the_time_from_complete_cells_or_from_timed_steps(here: Path) -> None:
    worked(here)
    longer = ["rho", *TINY, "--datasets", "bars.npz", "--steps", "600", "--dry-run", "--json"]
    known = json.loads(sweep(*longer).stdout)["estimate"]
    assert known["wall_seconds"] > 0
    assert "complete cells" in known["basis"]
    timed = json.loads(sweep(*longer, "--batch-size", "9", "--probe").stdout)["estimate"]
    assert 0 < timed["wall_seconds"] < 600
    assert "timed steps" in timed["basis"]
    assert not list((here / "results").glob("packs/*")), "nothing is left behind"


def test_every_command_refuses_another_version_by_name(here: Path) -> None:
    worked(here)
    record = here / "results" / "sweep.json"
    record.write_text(record.read_text().replace('"schema": 1', '"schema": 0', 1))
    request = ["rho", *TINY, "--datasets", "bars.npz"]
    for arguments in (request, [*request, "--dry-run"], ["work", "results"], ["status", "results"]):
        refused = sweep(*arguments)
        assert refused.exit_code == 1, arguments
        is_one_line(refused, "schema 0")


def test_numbers_below_zero_are_values_not_options(here: Path) -> None:
    assert json.loads(sweep(*RHO, "--rho", "-0.0", "1", "--json").stdout)["cells"] == 2


@pytest.mark.parametrize(
    "arguments", [["-h"], ["rho", "-h"], ["--version"], ["work", "-h"], ["status", "-h"], ["data", "list", "-h"]]
)
def test_help_is_there(arguments: Sequence[str]) -> None:
    result = sweep(*arguments)
    assert result.exit_code == 0
    assert result.stdout


def commands() -> list[tuple[click.Group, list[str]]]:
    found = [(group, [name]) for group in (cli.sweep, cli.plot) for name in group.commands if name != "data"]
    return [*found, (cli.sweep, ["data", "list"]), (cli.sweep, ["data", "fetch"])]


@pytest.mark.parametrize(
    ("group", "words"), commands(), ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_every_command_has_examples_that_can_be_read(group: click.Group, words: list[str]) -> None:
    """No option that is not its command's, and nothing cut off in the list of commands."""
    told = CliRunner(env={"COLUMNS": "120"}).invoke(group, [*words, "--help"]).stdout
    examples = [line.strip() for line in told.partition("Examples:")[2].splitlines() if line.strip()]
    assert len(examples) == 2
    known = told.partition("Examples:")[0]
    for example in examples:
        program, *typed = example.partition("#")[0].split()
        assert program in ("hvae-sweep", "hvae-plot")
        own = typed[: typed.index("--")] if "--" in typed else typed
        if own[: len(words)] == words and words != ["submit"]:
            assert all(word.partition("=")[0] in known for word in own if word.startswith("--"))
    listed = CliRunner(env={"COLUMNS": "80"}).invoke(group, ["--help"]).stdout
    assert not re.search(r"\w\.\.\.", listed)  # as click cuts sentences off


def test_looking_loads_neither_ray_nor_torch(here: Path) -> None:
    sweep("rho", *TINY, "--datasets", "bars.npz", "--plan-only")
    code = (
        "import sys, cli\n"
        "try: cli.sweep(['status', 'results'])\n"
        "except SystemExit: print([m for m in ('ray', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.splitlines()[-1] == "[]"


def test_planning_and_plotting_load_neither_ray_nor_torch() -> None:
    """`hvae-plot` and the data commands start quickly, and the core needs no sweep library."""
    code = (
        "import sys, cli, analysis.reports.phase_transition; print([m for m in ('ray', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == "[]"
    absent = ("ray", "click", "pandas", "matplotlib")
    code = f"import sys, hvae_core.training.trainer; print([m for m in {absent} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_a_request_recorded_while_another_was_suspended_is_not_lost(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is suspended, beyond its claim's life, when it has read the list of requests and writes its cells."""
    slept: list[bool] = []

    def sleeping_once(*given: Any, **more: Any) -> None:
        if not slept:
            slept.append(True)
            with monkeypatch.context() as patch:  # the claim has expired
                patch.setattr("sweeps.ledger.claims.is_live", lambda path, content: False)
                other = sweep("rho", *TINY, "--datasets", "more.npz", "--plan-only")
            assert other.exit_code == 0
        write_json(*given, **more)

    monkeypatch.setattr("sweeps.ledger.ledger.write_json", sleeping_once)
    first = sweep("rho", *TINY, "--datasets", "bars.npz", "--plan-only")
    assert first.exit_code == 0
    assert first.stderr.count("another process took it over while this one was suspended; planning again") == 1
    requests = Ledger(here / "results").requests()
    assert [request["request"]["datasets"] for request in requests] == [["more.npz"], ["bars.npz"]]
    assert sorted(path.name for path in (here / "results").iterdir()) == ["cells", "sweep.json", "sweep.toml"]


def curve(**states: int) -> Curve:
    counts = dict.fromkeys(STATES, 0) | states
    return Curve("mnist:embedded mlp2x3h6", counts, 0, None, None, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("terminal", [False, True])
def test_watching_draws_the_first_and_the_last_state(
    terminal: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the sweep has not begun."""
    states = [[], [curve(pending=2)], [curve(pending=1, complete=1)], [curve(complete=2)]]
    shown, frames = iter([Status(here, None, [], state, []) for state in states]), list[str]()
    monkeypatch.setattr("sweeps.watching.status.read_status", lambda _: next(shown))
    monkeypatch.setattr(looking, "WATCH_SECONDS", 0)
    monkeypatch.setattr(looking, "results_at", lambda _, text: Ledger(Path(text)))
    if terminal:
        monkeypatch.setattr(looking, "Console", lambda **_: Console(file=io.StringIO(), force_terminal=True, width=200))
        monkeypatch.setattr(Live, "update", lambda _, text, refresh: frames.append(str(text)))
    done = sweep("status", "results", "--watch")
    assert done.exit_code == 0, done.output
    text = "\n".join(frames) if terminal else done.stdout
    assert text.count("cells; no process is running") == 4
    assert text.rstrip().splitlines()[-1].count("2 complete") == 1


def test_from_null_data_to_the_information_in_each_layer(here: Path) -> None:
    planned = sweep("rho", *TINY, "--datasets", "bars.npz", "--null", "--plan-only")
    assert planned.exit_code == 0, planned.stderr
    done = sweep("work", "results")
    assert "null:bars:npz mlp2x3h6" in done.stderr, "names of data sets are no emoji codes"
    ledger = Ledger(here / "results")
    assert {record.cell.dataset for record in ledger.records()} == {"bars", "null:bars"}
    results = {record.cell.dataset: record.result or {} for record in ledger.records()}
    assert "baseline" in results["bars"]
    assert "baseline" not in results["null:bars"], "of shuffled pixels independent pixels are the truth"
    again = json.loads(sweep("rho", "--config", "results/sweep.toml", "--dry-run", "--json").stdout)
    assert (again["complete"], again["new"]) == (4, 0)
    (here / "bars.npz").rename(here / "results" / "bars.npz")
    priced = sweep("evaluate", "results", "--what", "information", "--dry-run")
    assert "of 4 cells: about" in priced.stderr
    done = sweep("evaluate", "results", "--what", "information", "--examples", "20", "--paths", "4")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("nats about the image on 20 test images") == 4
    cell = next(iter((here / "results" / "cells").iterdir()))
    assert "info_top_high" in sweep("show", str(cell)).stdout
    some = sweep("evaluate", "results", "--samples", "9", "--datasets", "null:bars", "--rho", "1")
    assert some.stdout.count("L_9") == 1
    assert some.stdout.startswith("null:bars:npz mlp2x3h6 rho 1 ")
    none = sweep("evaluate", "results", "--samples", "9", "--models", "mlp9x9")
    assert (none.exit_code, "models: 'mlp9x9' is not in these results" in none.stderr) == (4, True)
    assert "info_top_high" in (here / "results" / "results.csv").read_text()
    for command in ("information", "phase-transition"):
        drawn = plot(command, "results", "--format", "png")
        assert drawn.exit_code == 0, drawn.stderr
        assert (here / "results" / "figures" / f"{command}.png").is_file()
    refused = sweep("evaluate", "results", "--what", "information", "--samples", "9")
    assert refused.exit_code == 2
    assert "samples: 9 is not allowed with --what information" in refused.stderr
