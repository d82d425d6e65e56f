from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import cli
from analysis.frames.gather import gather
from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.evaluation.blocks import choose_examples
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.information import information
from sweeps import load_cell
from sweeps.grid.sweep_spec import SweepSpec
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.running.pack import run_pack
from sweeps.trained.evaluations import LaterBound, LaterInformation, LaterShare, evaluation
from sweeps.trained.later import Later


@pytest.fixture
def trained(ledger: Ledger, spec: SweepSpec) -> Ledger:
    plan = plan_sweep(ledger, spec)
    packs = plan.packs(ledger)
    ledger.add_request(request_entry(spec, packs, {}), plan.cells)
    for pack in packs:
        run_pack(
            PackOptions(
                str(ledger.root), references=((spec.data[0].name, spec.data[0].checksum, spec.data[0].reference),)
            ),
            pack,
        )
    return ledger


def files(ledger: Ledger) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in ledger.root.rglob("*") if path.is_file()}


def test_it_is_the_bound_of_each_model_alone_and_touches_nothing_else(trained: Ledger, bars: Dataset) -> None:
    before = files(trained)
    later = Later(trained, LaterBound(30, 7), None, "cpu")
    assert later.cells == 4
    assert len(later.groups) == 1
    later.run(lambda line: None)
    after = files(trained)
    assert {path.name for path in after.keys() - before.keys()} == {"eval-30.json"}
    assert all(after[path] == content for path, content in before.items())
    for record in trained.records():
        model = load_cell(trained.cell_path(record.cell.id)).model
        images = torch.from_numpy(bars.test[choose_examples(len(bars.test), 7)])
        alone = importance_bound(model, images, 30, [record.cell.member.seed])
        found = trained.evaluations(record.cell.id)["30"]
        assert found["ll"] == pytest.approx(float(alone.value[0]), abs=1e-5)
        assert found["ll_se"] == pytest.approx(float(alone.standard_error[0]), abs=1e-5)
        assert found["examples"] == 7


def test_what_is_there_is_not_done_again_unless_more_is_asked(trained: Ledger) -> None:
    Later(trained, LaterBound(20, 5), None, "cpu").run(lambda line: None)
    assert Later(trained, LaterBound(20, 5), None, "cpu").cells == 0
    assert Later(trained, LaterBound(20, 4), None, "cpu").cells == 0
    assert Later(trained, LaterBound(20, 6), None, "cpu").cells == 4
    assert Later(trained, LaterBound(21, 5), None, "cpu").cells == 4
    Later(trained, LaterBound(20, 10**6), None, "cpu").run(lambda line: None)
    assert Later(trained, LaterBound(20, 10**6), None, "cpu").cells == 0, "all there are is as many as asked for"


def test_of_two_runs_at_once_the_one_on_more_images_stays(trained: Ledger) -> None:
    few, many = (Later(trained, LaterBound(20, images), None, "cpu") for images in (3, 8))
    many.run(lambda line: None)
    few.run(lambda line: pytest.fail(line))
    for record in trained.records():
        assert trained.evaluations(record.cell.id)["20"]["examples"] == 8


def test_the_cost_is_measured_before(trained: Ledger) -> None:
    some, more = (Later(trained, LaterBound(samples, 30), None, "cpu").seconds_needed() for samples in (100, 10_000))
    assert 0 < some < more


def test_it_becomes_columns(trained: Ledger) -> None:
    Later(trained, LaterBound(30, 7), None, "cpu").run(lambda line: None)
    frame = gather([trained.root]).frame
    assert frame["ll_30"].notna().all()
    assert (frame["ll_30_se"] > 0).all()
    assert list(frame["ll_30_examples"]) == [7] * 4


@pytest.mark.parametrize(
    "change", [{"ll": None}, {"samples": 31}, {"cell_id": "0" * 16}, {"schema": 2}, {"ll": "x"}, {"ll_se": 1e300}]
)
def test_a_damaged_evaluation_is_named_and_left_out(trained: Ledger, change: dict[str, object]) -> None:
    Later(trained, LaterBound(30, 7), None, "cpu").run(lambda line: None)
    path = next(iter(trained.root.glob("cells/*/eval-30.json")))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    damaged: list[str] = []
    assert trained.evaluations(path.parent.name, damaged) == {}
    assert str(path) in damaged[0]
    gathered = gather([trained.root])
    assert gathered.frame["ll_30"].notna().sum() == 3
    assert any(str(path) in note for note in gathered.notes)
    assert Later(trained, LaterBound(30, 7), None, "cpu").cells == 1


def test_share_is_the_number_that_the_result_has_and_only_older_cells_lack_it(trained: Ledger) -> None:
    assert Later(trained, LaterShare(), None, "cpu").cells == 0
    had = {}
    for record in trained.records():
        path = trained.cell_path(record.cell.id) / "result.json"
        result = json.loads(path.read_text())
        had[record.cell.id] = {name: result.pop(name) for name in list(result) if name.startswith("share_")}
        path.write_text(json.dumps(result))
    before = files(trained)
    later = Later(trained, LaterShare(), None, "cpu")
    assert later.cells == 4
    later.run(lambda line: None)
    assert {path.name for path in files(trained).keys() - before.keys()} == {"eval-share.json"}
    assert {path: content for path, content in files(trained).items() if path in before} == before
    frame = gather([trained.root]).frame.set_index("cell_id")
    for cell_id, metrics in had.items():
        assert len(metrics) == 3
        for name, value in metrics.items():
            assert frame.loc[cell_id, name] == pytest.approx(value, abs=1e-6)
    assert Later(trained, LaterShare(), None, "cpu").cells == 0


def test_information_is_that_of_each_model_alone_and_becomes_columns(trained: Ledger, bars: Dataset) -> None:
    later = Later(trained, LaterInformation(20, 6), None, "cpu")
    assert later.seconds_needed() > 0
    lines: list[str] = []
    later.run(lines.append)
    assert len(lines) == 4
    frame = gather([trained.root]).frame.set_index("cell_id")
    for record in trained.records():
        model = load_cell(trained.cell_path(record.cell.id)).model
        images = torch.from_numpy(bars.test[choose_examples(len(bars.test), 20)])
        alone = information(model, images, [record.cell.member.seed], 6).row(0)
        for name, value in alone.items():
            assert frame.loc[record.cell.id, name] == pytest.approx(value, abs=1e-5)
    assert list(frame["info_paths"]) == [6] * 4
    assert list(frame["info_examples"]) == [20] * 4
    assert Later(trained, LaterInformation(20, 6), None, "cpu").cells == 0
    assert Later(trained, LaterInformation(20, 7), None, "cpu").cells == 4


@pytest.mark.parametrize("change", [{"metrics": {}}, {"paths": "6"}, {"metrics": {"info_top": 1.0, "info_1": "x"}}])
def test_damaged_information_is_left_out(trained: Ledger, change: dict[str, object]) -> None:
    Later(trained, LaterInformation(20, 6), None, "cpu").run(lambda line: None)
    path = next(iter(trained.root.glob("cells/*/eval-information.json")))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    gathered = gather([trained.root])
    assert gathered.frame["info_top"].notna().sum() == 3
    assert any(str(path) in note for note in gathered.notes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("bound", None, 8, None), "paths: 8 is not allowed with --what bound"),
        (("information", 9, None, None), "samples: 9 is not allowed with --what information"),
        (("share", None, None, 10), "examples: 10 is not allowed with --what share"),
    ],
)
def test_a_number_without_use_is_refused(asked: tuple[str, int | None, int | None, int | None], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        evaluation(*asked)


def test_cells_that_are_not_complete_are_not_said_to_be_evaluated(trained: Ledger) -> None:
    for path in trained.root.glob("cells/*/result.json"):
        path.unlink()
    later = Later(trained, LaterBound(30, 7), None, "cpu")
    assert (later.complete, later.cells) == (0, 0)
    done = CliRunner().invoke(cli.sweep, ["evaluate", str(trained.root)], catch_exceptions=False)
    assert "nothing to do: no such cell is complete" in done.stderr


def test_without_weights_it_says_so(trained: Ledger) -> None:
    for path in trained.root.glob("cells/*/weights.safetensors"):
        path.unlink()
    with pytest.raises(LedgerError, match="kept its weights"):
        Later(trained, LaterBound(30, 7), None, "cpu")


def test_a_cell_that_is_not_there_has_no_evaluations(tmp_path: Path) -> None:
    assert Ledger(tmp_path).evaluations("0123456789abcdef") == {}
