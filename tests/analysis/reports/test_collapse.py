"""From directories to maps of active units over depth and width: the numbers, the files, what is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.frames.gather import GatherError, gather
from analysis.reports.collapse import _file_names
from analysis.reports.collapse import report as collapse_report
from analysis.requests import output
from analysis.requests.plot_request import PlotRequest
from analysis.summaries.depth_width import COLUMNS, active_units, blocks
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell

Make = Callable[..., list[Cell]]

GRID = ("mlp1x4h8", "mlp1x10h8", "mlp2x4h8", "mlp2x10h8", "mlp3x4h8", "mlp3x10h8")
CONDITION = "mnist:embedded, hidden 8, K = 5, 3,000 steps"


def units(cell: Cell) -> list[int]:
    """Active units per layer: all of layer 1, of each further one 3 fewer where nothing is smoothed."""
    width, lost = cell.model.width, 3 if cell.member.objective.rho == 1 else 0
    return [max(0, width - lost * i) for i in range(cell.model.depth)]


def measured(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
    """Numbers that differ between the definitions, the depths, the widths and the seeds."""
    found = units(cell)
    for i, active in enumerate(found, 1):
        result |= {f"au_{i}": active, f"au_path_{i}": min(active + 1, cell.model.width)}
    elbo = -100.0 - 10 * cell.model.depth + cell.model.width - cell.member.seed
    return {**result, "au_top": found[-1], "elbo": elbo, "kl_top": 2.0 * found[-1]}


@pytest.fixture
def make_grid(make_results: Make) -> Make:
    def make(root: Path, **options: Any) -> list[Cell]:
        return make_results(root, **{"models": GRID, "rhos": (0.8, 1.0), "change": measured, **options})

    return make


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Figures by name, as `collapse` writes them."""
    figures: dict[str, Figure] = {}
    write = output.write_files

    def keep(figure: Figure, request: PlotRequest, name: str, *others: Any) -> list[Path]:
        figures[name] = figure
        return write(figure, request, name, *others)

    monkeypatch.setattr("analysis.reports.collapse.write_files", keep)
    return figures


def words(figure: Figure) -> str:
    (text,) = [text.get_text() for text in figure.texts if text.get_gid() == "words"]
    return text.replace("\n", " ")


def at(table: pd.DataFrame, *place: float) -> pd.Series[Any]:
    (row,) = [row for _, row in table.iterrows() if (row["rho"], row["depth"], row["width"]) == place]
    return row


def test_numbers_of_every_place(make_grid: Make, tmp_path: Path) -> None:
    cells = make_grid(tmp_path)
    table = active_units(gather([tmp_path]).frame)
    assert list(table) == list(COLUMNS)
    places = list(zip(table["rho"], table["depth"], table["width"], strict=True))
    assert places == [(rho, depth, width) for rho in (1.0, 0.8) for depth in (1, 2, 3) for width in (4, 10)]
    for cell in cells:
        rho, depth, width = cell.member.objective.rho, cell.model.depth, cell.model.width
        row, active = at(table, rho, depth, width), units(cell)
        for name, layers in (("au", active), ("au_path", [min(n + 1, width) for n in active])):
            assert (row[f"{name}_top"], row[f"{name}_total"]) == (layers[-1], sum(layers))
            assert row[f"{name}_top_fraction"] == layers[-1] / width
            assert row[f"{name}_total_fraction"] == sum(layers) / (depth * width)
        assert (row["elbo"], row["kl_top"]) == (-100 - 10 * depth + width, 2 * active[-1])
        assert (row["method"], row["model"], row["hidden"]) == (cell.member.objective.method, cell.model.name, 8)
        assert (row["n_seeds"], row["n_failed"], row["n_diverged"], row["n_pending"]) == (1, 0, 0, 0)
        assert (row["source"], row["checksum"], row["steps"]) == ("embedded", cell.checksum, 3000)


def test_the_middle_of_the_complete_seeds(make_grid: Make, tmp_path: Path) -> None:
    layers = {0: (10, 0), 1: (0, 10), 2: (7, 6), 3: (1, 1)}  # the middle total is not the total of the middles

    def change(cell: Cell, result: dict[str, Any]) -> dict[str, Any]:
        found = {f"au_{i}": layers[cell.member.seed][i - 1] for i in range(1, cell.model.depth + 1)}
        return measured(cell, result) | found

    options: dict[str, Any] = {"models": ("mlp2x10h8", "mlp1x10h8"), "rhos": (1.0,), "change": change}
    make_grid(tmp_path / "three", seeds=(0, 1, 2), **options)
    row = at(active_units(gather([tmp_path / "three"]).frame), 1, 2, 10)
    assert row[["n_seeds", "au_top", "au_total", "elbo"]].tolist() == [3, 6, 10, -111]
    states = {1: "pending", 3: "diverged"}
    make_grid(tmp_path / "two", seeds=(0, 1, 2, 3), state=lambda c: states.get(c.member.seed, "complete"), **options)
    row = at(active_units(gather([tmp_path / "two"]).frame), 1, 2, 10)
    assert (row["n_seeds"], row["n_failed"], row["n_diverged"], row["n_pending"]) == (2, 0, 1, 1)
    assert (row["au_top"], row["au_top_fraction"], row["au_total"], row["au_total_fraction"]) == (3, 0.3, 11.5, 0.575)


def test_places_without_numbers(make_grid: Make, tmp_path: Path) -> None:
    states = {"mlp2x4h8": "pending", "mlp2x10h8": "failed", "mlp3x4h8": "diverged"}
    make_grid(tmp_path, models=GRID[:5], state=lambda cell: states.get(cell.model.name, "complete"))
    make_grid(tmp_path, models=GRID[5:], rhos=(0.8,))
    report = collapse_report(PlotRequest([tmp_path], formats=()))
    table = report.table
    counts = table[["n_seeds", "n_failed", "n_diverged", "n_pending"]].to_numpy().tolist()
    vae = [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert counts == [*vae, *vae[:5], [1, 0, 0, 0]]
    empty = table[table["n_seeds"] == 0]
    assert empty[["au_top", "au_top_fraction", "au_path_total", "elbo", "kl_top"]].isna().all(axis=None)
    assert (at(table, 1, 3, 10)["model"], at(table, 1, 3, 10)["method"]) == ("mlp3x10h8", "vae")
    assert report.notes == [
        f"{CONDITION}: 6 of 11 cells are not complete (2 pending, 2 failed, 2 diverged)",
        f"{CONDITION}: no cell was asked for at 1 of 12 places of its maps",
    ]


def test_a_layer_without_a_number_leaves_no_total(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path, change=lambda cell, result: measured(cell, result) | {"au_1": 2.5})  # no count: left out
    row = at(collapse_report(PlotRequest([tmp_path], formats=())).table, 0.8, 2, 4)
    assert np.isnan([row["au_total"], row["au_total_fraction"]]).all()
    assert (row["au_top"], row["au_path_total"], row["elbo"], row["n_seeds"]) == (4, 8, -116, 1)


def test_files_and_what_is_in_them(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path / "a")
    report = collapse_report(PlotRequest([tmp_path / "a"], formats=("png", "pdf", "svg")))
    folder = tmp_path / "a" / "figures"
    assert report.files == [folder / f"collapse.{end}" for end in ("png", "pdf", "svg", "csv")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in report.files)
    assert b"/Type3" not in report.files[1].read_bytes()
    assert b"/Subtype /Image" not in report.files[1].read_bytes()
    assert b"<image" not in report.files[2].read_bytes()
    read = pd.read_csv(report.files[3])
    of_levels = ["system", "pseudo_inputs", "mixture", "bits_per_dim"]  # unused here
    assert list(read) == [name for name in COLUMNS if name not in of_levels]
    assert read.loc[:, "rho":"kl_top"].equals(report.table.drop(columns=of_levels).loc[:, "rho":"kl_top"])
    assert not report.notes
    again = collapse_report(PlotRequest([tmp_path / "a"], tmp_path / "out", formats=("png", "pdf", "svg")))
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in report.files]
    assert again.files[0].parent == tmp_path / "out"


@pytest.mark.parametrize(
    ("other", "name", "said"),
    [
        ({"datasets": ("glyphs:embedded",)}, "glyphs", "glyphs:embedded"),
        ({"datasets": ("mnist:larochelle",)}, "mnist-larochelle", "mnist:larochelle"),
        ({"binarise": "dynamic"}, "mnist-dynamic-binarisation", "dynamic binarisation"),
        ({"objective": {"ou_samples": 7}}, "mnist-k7", "K = 7"),
        ({"objective": {"smoothing": "ratio"}}, "mnist-smoothing-ratio", "smoothing ratio"),
        ({"objective": {"free_bits": 0.5}}, "mnist-free-bits-0.5-nats", "free bits 0.5 nats"),
        ({"train": TrainSpec(9000)}, "mnist-9000-steps", "9,000 steps"),
        ({"train": TrainSpec(3000, batch_size=64)}, "mnist-batch-64", "batch 64"),
        ({"train": TrainSpec(3000, precision="float64")}, "mnist-float64", "float64"),
        ({"models": ["mlp1x4h9", "mlp1x10h9"]}, "mnist-hidden-9", "hidden 9"),
    ],
)
def test_one_figure_per_condition(
    make_grid: Make, tmp_path: Path, drawn: dict[str, Figure], other: dict[str, Any], name: str, said: str
) -> None:
    few = {"models": GRID[:2], "rhos": (1.0,)}
    make_grid(tmp_path / "a", **few)
    make_grid(tmp_path / "b", change=lambda c, result: measured(c, result) | {"elbo": -7.0}, **few | other)
    report = collapse_report(PlotRequest([tmp_path], tmp_path / "out", formats=("svg",)))
    (first,) = set(drawn) - {f"collapse-{name}"}
    assert said in words(drawn[f"collapse-{name}"])
    assert said not in words(drawn[first])
    assert {path.name for path in report.files} == {f"{first}.svg", f"collapse-{name}.svg", "collapse.csv"}
    assert sorted(report.table["elbo"]) == [-106, -100, -7, -7]


def test_content_tells_data_of_one_name_apart(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path)
    frame = gather([tmp_path]).frame
    both = pd.concat([frame, frame.assign(checksum="abcdef0123")])
    assert active_units(both)["n_seeds"].tolist() == [1] * 24
    assert _file_names(blocks(both)[0])[1] == "collapse-mnist-abcdef01"
    near = pd.concat([frame, frame.assign(lr=frame["lr"] * (1 + 1e-9))])  # alike in words
    assert _file_names(blocks(near)[0]) == ["collapse-mnist", "collapse-mnist-2"]


def test_names_that_no_file_can_have(make_grid: Make, tmp_path: Path) -> None:
    names = ("../Über µ:x", "über µ:x", "a b:x", "A-B:x", "...:x")
    make_grid(tmp_path / "r", datasets=names, models=GRID[:2])
    files = collapse_report(PlotRequest([tmp_path / "r"], tmp_path / "out", formats=("svg",))).files
    assert {path.parent for path in files} == {tmp_path / "out"}
    assert len({path.name.lower() for path in files}) == 6
    assert all(path.name.isascii() for path in files)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out", tmp_path / "r"]


def test_mixed_devices_and_seeds_are_said(make_grid: Make, tmp_path: Path, drawn: dict[str, Figure]) -> None:
    devices = {1: "cpu", 2: "gpu", 3: "gpu"}
    make_grid(tmp_path / "a", change=lambda c, result: measured(c, result) | {"device": devices[c.model.depth]})
    collapse_report(PlotRequest([tmp_path / "a"], formats=()))
    line = r"mnist:embedded, [0-9a-f]{8}, hidden 8, K = 5, 3,000 steps, mixed devices: cpu, gpu, 1 seed"
    assert re.fullmatch(line, words(drawn["collapse"]))
    states = {True: "complete", False: "pending"}
    make_grid(tmp_path / "b", seeds=(0, 1, 2), state=lambda cell: states[cell.member.seed < cell.model.depth])
    collapse_report(PlotRequest([tmp_path / "b"], formats=()))
    assert words(drawn["collapse"]).endswith("3,000 steps, median of 1–3 seeds")


def test_what_has_no_place_in_a_map(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path, models=(*GRID, "mlp8-4", "mlp16-16", "mlp4-8"))
    make_grid(tmp_path, models=("mlp2x4h8",), rhos=(0.0, 0.25, 0.5))
    make_grid(tmp_path, datasets=("glyphs:embedded",), state=lambda cell: "pending")
    report = collapse_report(PlotRequest([tmp_path], formats=()))
    assert report.notes == [
        "layers that are not all alike, so in no map: mlp4-8, mlp8-4",
        f"{CONDITION}: one depth and width alone is no map: ρ = 0, 0.25, 0.5",
        "mnist:embedded, hidden 128, K = 5, 3,000 steps: one depth and width alone is no map: ρ = 0.8, 1",
        "glyphs:embedded, hidden 8, K = 5, 3,000 steps: 12 of 12 cells are not complete (12 pending); it is not drawn",
    ]
    kept = report.table[["rho", "hidden", "dataset"]].drop_duplicates()
    assert kept.to_numpy().tolist() == [[1, 8, "mnist"], [0.8, 8, "mnist"]]


def test_another_family_has_no_place_in_a_map(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path)
    frame = gather([tmp_path]).frame
    frame.loc[frame["model"] == "mlp3x10h8", ["model", "family"]] = ["conv3x8x7x7", "conv"]
    assert active_units(frame)["n_seeds"].tolist() == [1, 1, 1, 1, 1, 0] * 2


def test_more_maps_than_a_figure_shows(make_grid: Make, tmp_path: Path, drawn: dict[str, Figure]) -> None:
    make_grid(tmp_path, rhos=[i / 10 for i in range(1, 10)])
    notes = collapse_report(PlotRequest([tmp_path], formats=())).notes
    assert notes == [
        f"{CONDITION}: no map of the plain VAE, no cells of ρ = 1",
        f"{CONDITION}: a figure shows 5 maps; left out: ρ = 0.2, 0.4, 0.6, 0.8 (choose with --rho)",
    ]
    headings = [text.get_text() for ax in drawn["collapse"].axes for text in ax.texts if text.get_gid() == "row"]
    assert headings == [f"HVAE\nρ = {rho}" for rho in (0.9, 0.7, 0.5, 0.3, 0.1)]


def test_filters(make_grid: Make, tmp_path: Path) -> None:
    make_grid(tmp_path, datasets=("mnist:embedded", "mnist:larochelle", "glyphs:lake"), rhos=(0.1 + 0.2, 0.8, 1.0))

    def kept(**options: Any) -> tuple[set[str], set[float], set[int]]:
        table = collapse_report(PlotRequest([tmp_path], formats=(), **options)).table
        return set(table["dataset"] + ":" + table["source"]), set(table["rho"]), set(table["depth"])

    assert kept(datasets=["mnist"], rhos=[1]) == ({"mnist:embedded", "mnist:larochelle"}, {1.0}, {1, 2, 3})
    assert kept(datasets=["mnist:larochelle"], models=GRID[:4])[::2] == ({"mnist:larochelle"}, {1, 2})
    assert kept(rhos=[0.3, 1.0])[1] == {0.3, 1.0}
    for name in ("datasets", "models"):
        with pytest.raises(GatherError, match=f"{name}: 'x' is not in these results"):
            kept(**{name: ["x"]})
    with pytest.raises(GatherError, match=r"rho: '0.9' is not in these results, which hold 0.3, 0.8, 1"):
        kept(rhos=[0.9])


GRIDS = "no depth-width grid has a complete cell"
TAPERED = f"{GRIDS}: layers that are not all alike, so in no map: mlp8-4"
ALONE = f"{GRIDS}: {CONDITION}: one depth and width alone is no map: ρ = 0, 0.1, 0.2, 0.3, 0.4, 0.5 and 4 more"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": lambda cell: "pending"}, "12 cells, 0 complete (12 pending)"),
        ({"models": ("mlp8-4",)}, TAPERED),
        ({"models": ("mlp2x4h8", "mlp8-4")}, f"{TAPERED} (and 1 more)"),
        ({"models": ("mlp2x4h8",), "rhos": [i / 10 for i in range(10)]}, ALONE),
    ],
)
def test_nothing_to_plot(make_grid: Make, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    make_grid(tmp_path, **options)
    with pytest.raises(GatherError) as caught:
        collapse_report(PlotRequest([tmp_path]))
    assert str(caught.value) == f"nothing to plot: {message}"
    assert not (tmp_path / "figures").exists()


def test_which_definition_is_drawn(make_grid: Make, tmp_path: Path, drawn: dict[str, Figure]) -> None:
    make_grid(tmp_path)
    for active, prefix in (("mean", "au"), ("path", "au_path")):
        report = collapse_report(PlotRequest([tmp_path], formats=()), quantity=active)  # type: ignore[arg-type]
        assert drawn["collapse"].axes[0].get_label() == f"{prefix}_top"
        head, *lines = report.text.splitlines()
        assert (head.split()[-5], len(lines)) == (f"{prefix}_top", 12)
    collapse_report(PlotRequest([tmp_path], formats=(), title=False))
    assert drawn["collapse"].get_suptitle() == ""
    with pytest.raises(ValueError, match="quantity: 'both' is not allowed; it must be mean or path or share"):
        collapse_report(PlotRequest([tmp_path]), quantity="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format: 'gif' is not allowed"):
        collapse_report(PlotRequest([tmp_path], formats=("png", "gif")))
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["collapse.csv"]
