"""The report page: one file that loads nothing, says what the results hold, and believes no text in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import analysis
import cli
from analysis.axes.legend import critical_in_words
from analysis.axes.rho_axis import stretch, unstretch
from analysis.critical.table import critical_table
from analysis.frames.over_rho import over_rho
from analysis.page import over_rho as page_over_rho
from analysis.page.chart import COLOURS, numbers_of
from analysis.page.content import content_of
from analysis.page.over_steps import MOST_SHOWN
from analysis.page.render import render
from analysis.page.x_axes import XAxis, x_axes
from analysis.reports.report import FILE, report
from analysis.requests.plot_request import PlotRequest
from hvae_core.spec import retained_variance
from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.ledger import Ledger

Make = Callable[..., list[Cell]]
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium")


class Page(HTMLParser):
    """Elements, texts and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside == "script" else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def charts(self) -> list[dict[str, object]]:
        found = next(i for i, (tag, attrs) in enumerate(self.elements) if attrs.get("id") == "charts")
        assert self.elements[found][0] == "script"
        return json.loads(next(text for text in self.scripts if text.startswith("[")))  # type: ignore[no-any-return]


def written(root: Path, **options: bool) -> Page:
    done = report(PlotRequest([root]), samples=False, **options)
    assert done.files == [root / "figures" / FILE]
    return Page(done.files[0].read_text())


@pytest.fixture
def results(make_results: Make, kinked_kl: Callable[[Cell], float], tmp_path: Path) -> Path:
    """Two data sets, three seeds; one cell pending and one diverged with hostile last words."""

    def state(cell: Cell) -> str:
        rho, seed = cell.member.objective.rho, cell.member.seed
        return "pending" if (rho, seed) == (0.5, 2) else "diverged" if (rho, seed) == (0.0, 2) else "complete"

    data = ("mnist:embedded", "glyphs:embedded")
    make_results(tmp_path / "r", datasets=data, seeds=(0, 1, 2), state=state, top_kl=kinked_kl)
    for path in (tmp_path / "r" / "cells").glob("*/failure.json"):
        write_json(path, {**json.loads(path.read_text()), "lines": ["loss is nan", HOSTILE], "step": 17})
    return tmp_path / "r"


def test_it_says_what_was_asked_done_and_found(results: Path) -> None:
    page = written(results)
    cells = 2 * 3 * 11
    assert f"{cells - 4} complete 2 pending 2 diverged" in page.text
    for word in ("Critical values", "The top layer over smoothing", "Tables", "Failures", "loss is nan", "at step 17"):
        assert word in page.text, word
    assert re.search(r"ρ_c (= 0\.9\d|in \[0\.9)", page.text)
    for cell in Ledger(results).cell_ids():
        assert cell in page.text


def test_every_point_is_a_cell_with_its_numbers(results: Path) -> None:
    (transition,) = (chart for chart in written(results).charts if chart["name"] == "transition")
    traces = transition["figure"]["data"]  # type: ignore[index]
    points = [trace for trace in traces if trace["mode"] == "markers" and trace["yaxis"] == "y"]
    assert sum(len(trace["x"]) for trace in points) == 2 * 3 * 11 - 4
    by_id = {record.cell.id: record for record in Ledger(results).records(complete=True)}
    assert transition["axes"][0]["name"] == "stretched", "the grid crowds near 1"  # type: ignore[index]
    for trace in points:
        for x, y, text in zip(unstretch(trace["x"]), trace["y"], trace["text"], strict=True):
            record = by_id[text.split("<br>")[0].removeprefix("cell ")]
            assert record.result is not None
            assert x == pytest.approx(record.cell.member.objective.rho)
            assert y == record.result["kl_top"]
            assert f"ELBO {record.result['elbo']:.2f} nats" in text


def test_other_axes_are_rho_and_c_and_entries_have_all_traces(results: Path) -> None:
    (transition,) = (chart for chart in written(results).charts if chart["name"] == "transition")
    data = transition["figure"]["data"]  # type: ignore[index]
    axes = {axis["name"]: axis for axis in transition["axes"]}  # type: ignore[attr-defined]
    for places, rhos, cs, trace in zip(*(axes[name]["x"] for name in ("stretched", "rho", "c")), data, strict=True):
        assert trace["x"] == places
        assert places == pytest.approx(stretch(rhos))
        assert cs == pytest.approx([retained_variance(rho, 5) for rho in rhos])
    ticks = axes["stretched"]["ticks"]
    assert len(ticks["tickvals"]) >= 4
    assert [float(text) for text in ticks["ticktext"]] == pytest.approx(unstretch(ticks["tickvals"]))
    assert axes["c"]["ticks"] == axes["rho"]["ticks"] == {"tickmode": "auto"}, "or those of the stretched axis stay"
    listed = [i for entry in transition["entries"] for i in entry["traces"]]  # type: ignore[attr-defined]
    assert sorted(listed) == list(range(len(data)))
    looks = {(trace["line"]["color"], trace["marker"]["symbol"]) for trace in data}
    assert len(looks) == len(transition["entries"]) == 2  # type: ignore[arg-type]


def test_the_chart_shows_what_is_known_of_each_critical_rho(results: Path) -> None:
    """A bar over the interval, whatever the axis, that says it in words when it is pointed at."""
    (transition,) = (chart for chart in written(results).charts if chart["name"] == "transition")
    data = transition["figure"]["data"]  # type: ignore[index]
    rho = next(axis["x"] for axis in transition["axes"] if axis["name"] == "rho")  # type: ignore[attr-defined]
    bars = {i: trace for i, trace in enumerate(data) if trace["mode"] == "lines" and trace.get("text")}
    table = critical_table(over_rho(analysis.read(results)))
    assert len(bars) == len(table) == 2
    for place, ((i, bar), row) in enumerate(zip(bars.items(), table.to_dict("records"), strict=True)):
        assert rho[i] == [row["interval90_low"], row["interval90_high"]]
        assert bar["y"] == pytest.approx([row["plateau"] / 2 * (1 - 0.12 * place)] * 2), "or one would hide the other"
        words = critical_in_words({str(name): value for name, value in row.items()})
        assert bar["text"][0].endswith(words.replace("$\\rho_c$", "ρ_c"))


def test_axes_are_chosen_by_the_grid_and_not_by_the_ends_of_intervals(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grids: list[list[float]] = []

    def seen(grid: list[float], *others: Any) -> list[XAxis]:
        grids.append(grid)
        return x_axes(grid, *others)

    monkeypatch.setattr(page_over_rho, "x_axes", seen)
    frame = over_rho(analysis.read(results))
    assert page_over_rho.transition(frame) is not None
    assert grids == [sorted(frame[frame["state"] == "complete"]["rho"].unique())]


def test_a_curve_without_a_critical_value_has_none_in_the_table(make_results: Make, tmp_path: Path) -> None:
    """The reason is the verdict's, once."""
    make_results(tmp_path, seeds=(0, 1, 2), top_kl=lambda cell: 3.0)
    text = written(tmp_path).text
    assert re.search(r"mlp2x4h8, K = 5, 3,000 steps\s+none\s+no transition in this range of rho", text)


def test_few_curves_have_colours_of_their_own(make_results: Make, tmp_path: Path) -> None:
    history = [{"step": step, "elbo": -100.0, "kl_top": 1.0} for step in (100, 200)]
    make_results(tmp_path, rhos=(0.5, 0.9, 1.0), history=lambda cell: history)
    (chart,) = (chart for chart in written(tmp_path).charts if chart["name"] == "training")
    entries = chart["entries"]
    assert [entry["colour"] for entry in entries] == list(COLOURS[:3])  # type: ignore[attr-defined]
    assert all(entry["shown"] for entry in entries)  # type: ignore[attr-defined]


def test_the_chart_marks_no_critical_value_of_a_null_and_its_axes_are_the_grids(
    make_results: Make, tmp_path: Path, kinked_kl: Callable[[Cell], float]
) -> None:
    grid = tuple(i / 50 for i in range(35, 51))
    make_results(
        tmp_path,
        datasets=("mnist:embedded", "null:mnist:embedded"),
        rhos=grid,
        seeds=(0, 1, 2),
        top_kl=kinked_kl,
        change=lambda cell, result: {**result, "au_top": 3},
    )
    (transition,) = (chart for chart in written(tmp_path).charts if chart["name"] == "transition")
    bars = [trace for trace in transition["figure"]["data"] if trace["mode"] == "lines" and trace.get("text")]  # type: ignore[index]
    assert [bar["name"] for bar in bars] == ["mnist:embedded"]
    stretched = next(axis for axis in transition["axes"] if axis["name"] == "stretched")  # type: ignore[attr-defined]
    assert {float(text) for text in stretched["ticks"]["ticktext"]} <= {round(rho, 4) for rho in grid}


def test_information_stands_between_its_estimates_layer_by_layer(results: Path) -> None:
    """KL of the layer and those above it, the upper and the lower estimate: medians over seeds."""
    ends = {"info_1": 2.0, "info_1_high": 4.0}
    ends |= {f"info_{top}{end}": value for top in ("2", "top") for end, value in (("", 0.5), ("_high", 0.75))}
    cells = [record.cell for record in Ledger(results).records(complete=True) if record.cell.dataset == "mnist"]
    for cell in cells:
        metrics = {f"{name}{end}": value for name, value in ends.items() for end in ("", "_se")}
        metrics |= {f"info_{place}_gauss": 1.0 for place in ("1", "2", "top")}
        facts = {"schema": SCHEMA, "cell_id": cell.id, "metrics": metrics, "paths": 8, "examples": 500, "asked": 500}
        write_json(Ledger(results).cell_path(cell.id) / "eval-information.json", facts)
    (chart,) = (chart for chart in written(results).charts if chart["name"] == "information")
    traces = chart["figure"]["data"]  # type: ignore[index]
    assert [entry["traces"] for entry in chart["entries"]] == [list(range(6))]  # type: ignore[attr-defined]
    frame = analysis.read(results)
    frame = frame[(frame["dataset"] == "mnist") & (frame["state"] == "complete")]
    assert {trace["yaxis"] for trace in traces} == {"y", "y2"}
    for trace in traces:
        layers = ["kl_2"] if trace["yaxis"] == "y" else ["kl_1", "kl_2"]
        kl = frame.assign(kl=frame[layers].sum(axis=1)).groupby("rho")["kl"].median()
        low, high = (0.5, 0.75) if trace["yaxis"] == "y" else (2.0, 4.0)
        expected = {"solid": list(kl), "dot": [low] * len(kl), "dash": [high] * len(kl)}
        assert trace["y"] == pytest.approx(expected[trace["line"]["dash"]])
        assert trace["x"] == pytest.approx(list(stretch(kl.index)))
        assert [float(text) for text in trace["text"]] == list(kl.index)
    assert "log N = 6.2 nats" in " ".join(written(results).texts)


def test_training_shows_a_few_rho_values_at_first_and_has_all(make_results: Make, tmp_path: Path) -> None:
    """From light to dark over rho, the ends among them; what is shown is what is checked."""
    history = [{"step": step, "elbo": -100.0, "kl_top": 1.0} for step in (100, 200)]
    make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), history=lambda cell: history)
    page = written(tmp_path)
    (chart,) = (chart for chart in page.charts if chart["name"] == "training")
    traces, entries = chart["figure"]["data"], chart["entries"]  # type: ignore[index]
    assert len(entries) == 2 * 11  # type: ignore[arg-type]
    for entry in entries:  # type: ignore[attr-defined]
        assert {traces[i]["visible"] for i in entry["traces"]} == {entry["shown"]}
    boxes = [attrs for tag, attrs in page.elements if tag == "input" and attrs.get("data-chart") == "training"]
    assert ["checked" in attrs for attrs in boxes] == [entry["shown"] for entry in entries]  # type: ignore[attr-defined]
    shown = [entry for entry in entries if entry["shown"]]  # type: ignore[attr-defined]
    assert len(shown) == 2 * MOST_SHOWN
    assert sum("ρ" not in entry["name"] for entry in shown) == 2, "the unsmoothed models are among them"
    assert sum("ρ = 0," in f"{entry['name']}," for entry in shown) == 2
    assert len({(entry["colour"], entry["sign"]) for entry in entries}) == 2 * 11  # type: ignore[attr-defined]
    assert len({entry["sign"] for entry in entries}) == 2, "a sign for each data set"  # type: ignore[attr-defined]


def test_no_text_of_a_directory_is_believed(results: Path) -> None:
    page = written(results)
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert not [attrs for tag, attrs in page.elements if tag == "img" and attrs.get("src") == "x"]
    assert HOSTILE in " ".join(page.texts), "but it is shown, as text"


def test_names_in_charts_are_escaped_twice_over(results: Path) -> None:
    """JSON in a script element, drawn by what reads a part of HTML: neither may see a <."""
    frame = PlotRequest([results]).gather()[1].assign(dataset=HOSTILE)
    chart = page_over_rho.transition(frame)
    assert chart is not None
    assert all("<script" not in str(trace["name"]) for trace in chart.figure["data"])
    assert all("<img" not in text for trace in chart.figure["data"] for text in trace.get("text", []))
    content = content_of(frame, frame.iloc[:0], [results], [], b"", [HOSTILE])
    content.charts = [chart]
    page = Page(render(content))
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert page.charts[0]["entries"][0]["name"].startswith(HOSTILE)  # type: ignore[index]


def test_it_loads_nothing(results: Path) -> None:
    page = written(results)
    for tag, attrs in page.elements:
        for name in ("src", "href"):
            target = attrs.get(name) or ""
            assert target == "" or target.startswith(("#", "data:")), (tag, target)
    policy = [attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1
    assert str(policy[0]).startswith("default-src 'none'")
    size = (results / "figures" / FILE).stat().st_size
    assert size < 8 * 2**20


def test_it_reloads_only_while_it_is_watched_and_something_is_pending(results: Path) -> None:
    def refreshes(page: Page) -> list[str | None]:
        return [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "refresh"]

    assert refreshes(written(results)) == []
    assert refreshes(written(results, reload=True)) == ["30"]


def test_it_is_written_before_anything_is_complete(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path, rhos=(0.5, 1.0), state=lambda cell: "pending")
    page = written(tmp_path)
    assert "0 complete 2 pending" in page.text
    assert page.charts == []


def test_the_command_says_where_the_page_is(results: Path) -> None:
    done = CliRunner().invoke(cli.plot, ["report", str(results), "--no-samples"], catch_exceptions=False)
    assert (done.exit_code, done.stdout.strip()) == (0, str(results / "figures" / FILE))
    missing = CliRunner().invoke(cli.plot, ["report", str(results / "nowhere")], catch_exceptions=False)
    assert (missing.exit_code, len(missing.stderr.splitlines())) == (2, 1)


def test_numbers_that_are_none_are_gaps() -> None:
    values = pd.Series([1.0, float("nan"), float("inf"), None], dtype="object")
    assert numbers_of(values) == [1.0, None, None, None]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_draws_it_without_a_word(results: Path, tmp_path: Path, width: int) -> None:
    """Every chart is drawn no wider than the window, the console stays empty, and hostile words did nothing."""
    written(results)
    shutil.copy(results / "figures" / FILE, tmp_path / "page.html")
    probe = """<script>addEventListener("load", () => setTimeout(() => {
      const inner = document.getElementById("f").contentDocument, found = {};
      found.title = inner.title; found.charts = inner.querySelectorAll(".main-svg").length > 0;
      const drawn = [...inner.querySelectorAll(".chart .main-svg")];
      found.wide = Math.max(...drawn.map((each) => each.getBoundingClientRect().right));
      inner.querySelector("input[type=checkbox]").click();
      inner.querySelector('button[data-axis="2"]').click();
      setTimeout(() => { found.label = inner.querySelector(".g-xtitle").textContent;
        const drawn = inner.getElementById("chart-transition");
        found.hidden = drawn.data[0].visible; found.ticks = drawn.layout.xaxis.tickmode;
        document.body.dataset.found = JSON.stringify(found); }, 800); }, 2500));</script>"""
    frame = f'<iframe id="f" src="page.html" style="width:{width}px;height:3000px;border:0"></iframe>'
    (tmp_path / "outer.html").write_text(f"<!doctype html><html><body style='margin:0'>{frame}{probe}</body></html>")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [
        "--allow-file-access-from-files",
        "--window-size=1400,3000",
        "--virtual-time-budget=12000",
        "--dump-dom",
    ]
    done = subprocess.run(
        [*command, f"file://{tmp_path / 'outer.html'}"], capture_output=True, text=True, timeout=120, check=False
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    outer = Page(done.stdout)
    found = json.loads(next(str(attrs["data-found"]) for _, attrs in outer.elements if "data-found" in attrs))
    assert found["charts"]
    assert found["wide"] <= width
    assert found["title"].startswith("hvae-sweep: ")
    assert "retained variance" in found["label"]
    assert found["hidden"] is False
    assert found["ticks"] == "auto", "c has no ticks of rho"


def test_watching_ends_when_no_cell_is_pending(
    make_results: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_results(tmp_path, rhos=(0.5, 1.0), state=lambda cell: "pending")
    waits: list[float] = []

    def finish(seconds: float) -> None:
        assert 'http-equiv="refresh"' in (tmp_path / "figures" / FILE).read_text()
        waits.append(seconds)
        make_results(tmp_path, rhos=(0.5, 1.0))

    monkeypatch.setattr("analysis.command.time.sleep", finish)
    done = CliRunner().invoke(cli.plot, ["report", str(tmp_path), "--watch", "--no-samples"], catch_exceptions=False)
    assert done.exit_code == 0
    assert waits == [30.0]
    page = Page((tmp_path / "figures" / FILE).read_text())
    assert "2 complete" in page.text
    assert not [attrs for _, attrs in page.elements if attrs.get("http-equiv") == "refresh"]
