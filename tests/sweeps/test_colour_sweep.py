"""A sweep over images in colour, from the command line to records, pictures, tables and figures."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cli
from analysis.frames.gather import gather
from hvae_core.data import load_dataset
from hvae_core.evaluation.evaluate import evaluate
from sweeps.ledger.ledger import Ledger
from sweeps.trained.drawings import pictures
from sweeps.trained.load import load_cell


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blobs of colour, two models, two methods, trained for a few steps."""
    folder = tmp_path_factory.mktemp("colour")
    draw = np.random.default_rng(0)
    tint, place = draw.uniform(0, 255, (90, 3, 1, 1)), draw.uniform(0, 1, (90, 1, 8, 8))
    images = (tint * place).astype(np.uint8)
    np.savez(folder / "blobs.npz", train=images[:50], valid=images[50:70], test=images[70:])
    common = ["--datasets", str(folder / "blobs.npz"), "--steps", "8", "--batch-size", "5", "--eval-every", "4"]
    models = ["--model", "resnet2x2x4x4b1f4", "mlp2x4h8", "--mixture", "3", "--ll-examples", "4"]
    out = ["--out", str(folder / "results")]
    run = CliRunner().invoke(cli.sweep, ["methods", *common, *models, *out, "--plan-only"], catch_exceptions=False)
    assert run.exit_code == 0, run.stderr
    worked = CliRunner().invoke(cli.sweep, ["work", str(folder / "results")], catch_exceptions=False)
    assert worked.exit_code == 0, worked.stderr
    assert "bits/dim" in worked.stderr
    return folder / "results"


def test_records_have_nats_and_bits(results: Path) -> None:
    frame = gather([results]).frame
    assert len(frame) == 4
    np.testing.assert_allclose(frame["bits_per_dim"], -frame["elbo"] / (192 * math.log(2)), rtol=1e-12)
    assert set(frame["binarise"]) == {"none"}
    assert set(frame["mixture"]) == {3}
    for cell in Ledger(results).cell_ids():
        rows = list(csv.DictReader((results / "cells" / cell / "history.csv").read_text().splitlines()))
        assert [float(row["bits_per_dim"]) for row in rows] == pytest.approx(
            [-float(row["elbo"]) / (192 * math.log(2)) for row in rows]
        )


def test_a_model_comes_back_with_its_likelihood(results: Path) -> None:
    """The record's ELBO, from the weights alone."""
    import torch

    record = next(Ledger(results).records())
    trained = load_cell(results / "cells" / record.cell.id)
    data = load_dataset(str(results.parent / "blobs.npz"))
    metrics = evaluate(trained.model, torch.from_numpy(data.test), [record.cell.member.seed], "test")
    assert record.result is not None
    assert float(metrics.elbo[0]) == pytest.approx(record.result["elbo"], rel=1e-6)


def test_pictures_are_in_colour(results: Path) -> None:
    cell = Ledger(results).cell_ids()[0]
    drawn = pictures(Ledger(results), cell, 6)
    for name in ("samples", "top", "originals", "reconstructions"):
        images = getattr(drawn, name)
        assert images.shape == (6, 8, 8, 3)
        assert 0 <= images.min() < images.max() <= 1
    tests = np.moveaxis(load_dataset(str(results.parent / "blobs.npz")).test, 1, -1) / 255
    assert all((tests == image).all((1, 2, 3)).any() for image in drawn.originals)


def test_tables_and_figures_take_them_without_more_words(results: Path, tmp_path: Path) -> None:
    for command in ("table", "training", "samples", "phase-transition"):
        out = ["--out", str(tmp_path), *([] if command == "table" else ["--format", "png"])]
        done = CliRunner().invoke(cli.plot, [command, str(results), *out], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
    table = (tmp_path / "table.md").read_text()
    for words in ("256 levels", "3 logistics", "ELBO, bits/dim", "L_100, bits/dim", "C H W values"):
        assert words in table
    frame = gather([results]).frame
    assert f"{frame['bits_per_dim'].iloc[0]:.3f}" in table
    bits = frame["ll_100"].iloc[0] / frame["elbo"].iloc[0] * frame["bits_per_dim"].iloc[0]
    assert f"{bits:.3f}" in table


def test_a_later_bound_is_of_the_same_likelihood(results: Path) -> None:
    done = CliRunner().invoke(
        cli.sweep, ["evaluate", str(results), "--samples", "100", "--examples", "4"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.stderr
    frame = gather([results]).frame
    for cell, first in zip(frame["cell_id"], frame["ll_100"], strict=True):
        later = Ledger(results).evaluations(cell)["100"]["ll"]
        assert later == pytest.approx(first, rel=1e-6), "the same images, samples and seeds"
