"""From directories to files: what is written, what is left out, what is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.axes import style
from analysis.critical.table import COLUMNS
from analysis.frames.csv_text import without_unused
from analysis.frames.gather import GatherError, gather
from analysis.reports.phase_transition import report as phase_transition_report
from analysis.requests import output
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.summary import summarise
from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]
MakeFrame = Callable[..., pd.DataFrame]


def test_summary_is_median_and_range_over_complete_seeds(make_frame: MakeFrame) -> None:
    values = {0: 8.0, 1: 2.0, 2: 4.0, 3: 100.0}
    frame = make_frame(
        rhos=(0.5, 1.0),
        seeds=tuple(values),
        top_kl=lambda cell: values[cell.member.seed] * cell.member.objective.rho,
        state=lambda cell: "pending" if cell.member.seed == 3 else "complete",
    )
    summary = summarise(frame)
    assert summary["rho"].tolist() == [0.5, 1.0]
    assert summary["c"].tolist() == pytest.approx([0.4, 1.0])
    assert summary["n_seeds"].tolist() == [3, 3]
    assert summary["kl_top_median"].tolist() == [2.0, 4.0]
    assert summary["kl_top_min"].tolist() == [1.0, 2.0]
    assert summary["kl_top_max"].tolist() == [4.0, 8.0]
    complete = frame[(frame["state"] == "complete") & (frame["rho"] == 1)]
    for metric in ("elbo", "au_top"):
        assert summary[f"{metric}_median"].tolist()[1] == complete[metric].astype(float).median()


def test_summary_of_nothing_has_its_columns(make_frame: MakeFrame) -> None:
    frame = make_frame()
    assert list(summarise(frame.iloc[:0])) == list(summarise(frame))


def test_files_and_what_is_in_them(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a", seeds=(0, 1, 2))
    report = phase_transition_report(PlotRequest([tmp_path / "a"], formats=("png", "pdf", "svg")))
    folder = tmp_path / "a" / "figures"
    names = ["phase-transition.png", "phase-transition.pdf", "phase-transition.svg"]
    names += ["phase-transition.csv", "phase-transition-critical.csv"]
    assert report.files == [folder / name for name in names]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    png = (folder / names[0]).read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", png[16:20])[0] == int(3.35 * 300)
    pdf = (folder / names[1]).read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    frame = gather([tmp_path / "a"]).frame
    read = pd.read_csv(folder / names[3])
    assert list(read) == list(without_unused(summarise(frame)))
    assert read["kl_top_median"].tolist() == summarise(frame)["kl_top_median"].tolist()
    critical = pd.read_csv(folder / names[4])
    assert list(critical) == list(without_unused(pd.DataFrame(columns=list(COLUMNS))))
    assert critical["rho_crossing"].tolist() == report.table["rho_crossing"].tolist()
    assert report.notes == []


def test_the_same_results_give_the_same_bytes(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a")
    one = phase_transition_report(PlotRequest([tmp_path / "a"], out=tmp_path / "one", formats=("png", "pdf", "svg")))
    two = phase_transition_report(PlotRequest([tmp_path / "a"], out=tmp_path / "two", formats=("png", "pdf", "svg")))
    assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in two.files]


def test_several_directories_are_one_figure(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a")
    make_results(tmp_path / "b", datasets=("glyphs:embedded",))
    report = phase_transition_report(PlotRequest([tmp_path / "a", tmp_path / "b"]))
    assert report.table["dataset"].tolist() == ["glyphs", "mnist"]
    assert report.files[0].parent == tmp_path / "a" / "figures"


def test_drawing_again_reads_only_results(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "results" / "quick")
    first = phase_transition_report(PlotRequest([tmp_path / "results"]))
    assert phase_transition_report(PlotRequest([tmp_path / "results"])).files == first.files


def test_what_is_left_out_is_said(make_results: Make, tmp_path: Path) -> None:
    models = [f"mlp{depth}x4h8" for depth in range(1, 6)]
    make_results(tmp_path, models=models, rhos=(0.5, 0.9, 1.0))
    states = {0.5: "pending", 0.9: "pending", 1.0: "diverged"}
    make_results(
        tmp_path,
        datasets=("glyphs:embedded",),
        rhos=(*states, 0.0),
        state=lambda c: states.get(c.member.objective.rho, "complete"),
    )
    make_results(tmp_path, datasets=("omniglot:lake",), rhos=(0.5,), state=lambda cell: "failed")
    notes = phase_transition_report(PlotRequest([tmp_path])).notes
    assert notes == [
        "glyphs:embedded, mlp2x4h8, K = 5, 3,000 steps: 3 of 4 cells are not complete (2 pending, 1 diverged)",
        "omniglot:lake, mlp2x4h8, K = 5, 3,000 steps: 1 of 1 cells are not complete (1 failed); it is not drawn",
        "this figure shows 4 models; left out: mlp5x4h8 (choose with --models)",
        "no curve has enough rho values for a transition; hvae-plot table compares configurations",
    ]


@pytest.mark.parametrize(("rhos", "said"), [((0.8, 1.0), 1), ((0.8, 0.85, 0.9, 0.95, 1.0), 0)])
def test_where_no_curve_has_enough_rho_values_the_table_is_pointed_at(
    make_results: Make, tmp_path: Path, rhos: tuple[float, ...], said: int
) -> None:
    make_results(tmp_path, rhos=rhos)
    make_results(tmp_path, rhos=(1.0,), objective={"free_bits": 0.5})
    notes = phase_transition_report(PlotRequest([tmp_path], formats=())).notes
    assert sum("hvae-plot table" in note for note in notes) == said


def test_filters(make_results: Make, tmp_path: Path) -> None:
    datasets = ("mnist:embedded", "mnist:larochelle", "glyphs:embedded")
    make_results(tmp_path, datasets=datasets, models=("mlp2x4h8", "mlp3x4h8"))

    def kept(**options: list[str]) -> set[tuple[str, str, str]]:
        critical = phase_transition_report(PlotRequest([tmp_path], formats=("svg",), **options)).table  # type: ignore[arg-type]
        return set(zip(critical["dataset"], critical["source"], critical["model"], strict=True))

    assert len(kept()) == 6
    assert {source for _, source, _ in kept(datasets=["mnist"])} == {"embedded", "larochelle"}
    assert kept(datasets=["mnist:larochelle"], models=["mlp3x4h8"]) == {("mnist", "larochelle", "mlp3x4h8")}
    with pytest.raises(GatherError, match="datasets: 'cifar' is not in these results, which hold glyphs:embedded, mni"):
        kept(datasets=["mnist", "cifar"])
    with pytest.raises(GatherError, match="models: 'mlp9x9' is not in these results, which hold mlp2x4h8, mlp3x4h8"):
        kept(models=["mlp9x9"])


def test_nothing_complete_is_nothing_to_plot(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), state=lambda cell: "pending")
    with pytest.raises(GatherError) as caught:
        phase_transition_report(PlotRequest([tmp_path]))
    assert str(caught.value) == "nothing to plot: 22 cells, 0 complete (22 pending)"
    assert not (tmp_path / "figures").exists()


def test_output_that_cannot_be_written_is_one_line(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_results(tmp_path / "a", rhos=(0.5,))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="is not a directory") as caught:
            phase_transition_report(PlotRequest([tmp_path / "a"], out=out))
        assert str(caught.value).startswith(str(out))
    assert (tmp_path / "file").read_text() == "mine"

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output, "write_bytes", full)
    with pytest.raises(OSError, match="out: cannot be written to: No space left on device"):
        phase_transition_report(PlotRequest([tmp_path / "a"], out=tmp_path / "out"))


def test_an_unknown_format_writes_nothing(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a", rhos=(0.5,))
    with pytest.raises(ValueError, match="format: 'gif' is not allowed; it must be png, pdf, svg"):
        phase_transition_report(PlotRequest([tmp_path / "a"], tmp_path / "out", formats=("png", "gif")))
    assert not (tmp_path / "out").exists()


def test_a_format_asked_for_twice_is_written_once(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.5,))
    files = phase_transition_report(PlotRequest([tmp_path], tmp_path / "out", formats=("svg", "svg"))).files
    assert [path.suffix for path in files] == [".svg", ".csv", ".csv"]


def test_names_from_results_are_made_safe_to_draw() -> None:
    assert style.plain("a\n\tb  c") == "a b c"
    assert style.plain("$x$") == r"\$x\$"
    assert style.plain("日本\x07é") == "???é"
    assert len(style.plain("x" * 100)) == style.MAX_NAME


def test_the_summary_and_the_critical_values_are_computed_once(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_results(tmp_path)
    calls: list[str] = []

    def counted(frame: pd.DataFrame) -> pd.DataFrame:
        calls.append("summary")
        return summarise(frame)

    for module in ("analysis.reports.phase_transition", "analysis.phase.phase_transition"):
        monkeypatch.setattr(f"{module}.summarise", counted, raising=False)
    phase_transition_report(PlotRequest([tmp_path], formats=("svg",)))
    assert calls == ["summary"]


@pytest.mark.parametrize(
    ("panels", "says"),
    [(["depth"], "panels: 'depth' is not allowed; it must be of kl, active"), (["share"], "no cell has it")],
)
def test_panels_that_are_not_there_are_refused(
    make_results: Make, tmp_path: Path, panels: list[str], says: str
) -> None:
    make_results(tmp_path / "a")
    with pytest.raises(SpecError, match=says):
        phase_transition_report(PlotRequest([tmp_path / "a"]), panels=panels)
    assert not (tmp_path / "a" / "figures").exists()
