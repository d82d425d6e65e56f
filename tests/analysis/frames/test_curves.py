"""What makes a curve, and what a legend says about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.axes.legend import wrapped
from analysis.frames.curves import CURVE, curves
from analysis.frames.gather import gather
from analysis.phase.transition_legend import panel_legend
from analysis.words.curves import annealing_in_words, curves_in_words
from hvae_core.spec import TrainSpec
from sweeps.grid.cell import Cell

MakeFrame = Callable[..., pd.DataFrame]
Make = Callable[..., list[Cell]]


def test_a_curve_holds_every_rho_and_seed(make_frame: MakeFrame) -> None:
    frame = make_frame(datasets=("mnist:embedded", "glyphs:embedded"), seeds=(0, 1))
    found = curves(frame)
    assert [curve.name for curve in found] == ["glyphs:embedded", "mnist:embedded"]
    assert all(len(curve.rows) == 22 for curve in found)


def test_every_declared_column_but_rho_seed_and_names_is_part_of_the_key(make_frame: MakeFrame) -> None:
    declared = set(list(make_frame())[2:24])
    assert declared - set(CURVE) == {"family", "depth", "width", "rho", "method", "kl_weight", "seed"}


def test_the_plain_vae_at_rho_1_belongs_to_the_curve(make_frame: MakeFrame) -> None:
    frame = make_frame(rhos=(0.5, 1.0))
    assert set(frame["method"]) == {"hvae", "vae"}
    assert len(curves(frame)) == 1


def test_shared_settings_are_said_once_and_others_per_curve(make_results: Make, tmp_path: Path) -> None:
    make_results(tmp_path / "a", seeds=(0, 1, 2))
    make_results(tmp_path / "b", seeds=(0,), objective={"ou_samples": 10}, train=TrainSpec(3000, lr=0.002))
    found = curves(gather([tmp_path]).frame)
    shared, own = curves_in_words(found)
    assert shared == ["3,000 steps"]
    assert own == [
        ["mnist:embedded", found[0].content, "K = 5", "lr 0.001", "3 seeds"],
        ["mnist:embedded", found[1].content, "K = 10", "lr 0.002", "1 seed"],
    ]


def test_what_is_not_the_default_is_said(make_frame: MakeFrame) -> None:
    objective = {"smoothing": "ratio", "beta_top": 0.5, "kl_anneal": (10, 20), "free_bits": 2.0}
    frame = make_frame(datasets=("mnist:grey",), binarise="dynamic", objective=objective)
    shared, own = curves_in_words(curves(frame))
    assert shared == [
        *("dynamic binarisation", "K = 5", "smoothing ratio", "β_top = 0.5", "KL annealing (steps 10–30)"),
        *("free bits 2 nats", "3,000 steps", "1 seed"),
    ]
    assert [words[0] for words in own] == ["mnist:grey"]
    assert len(own[0]) == 2


def test_every_curve_carries_source_and_checksum(make_frame: MakeFrame) -> None:
    for curve in curves(make_frame(datasets=("faces:npz", "mnist:embedded"))):
        _, ((name, content, *_),) = curves_in_words([curve])
        assert (name, content) == (f"{curve['dataset']}:{curve['source']}", curve["checksum"][:8])


def test_two_contents_of_one_name_are_told_apart(make_frame: MakeFrame) -> None:
    one = make_frame()
    both = pd.concat([one, one.assign(checksum="f" * 64)], ignore_index=True)
    _, own = curves_in_words(curves(both))
    assert own[1] == ["mnist:embedded", "ffffffff"]


def test_mixed_devices_are_flagged_and_incomplete_seeds_counted(make_frame: MakeFrame) -> None:
    frame = make_frame(
        seeds=(0, 1),
        state=lambda cell: "pending" if cell.member.seed and cell.member.objective.rho > 0.9 else "complete",
        change=lambda cell, result: {**result, "device": "gpu" if cell.member.seed else "cpu"},
    )
    shared, own = curves_in_words(curves(frame))
    assert own[0][0] == "mnist:embedded"
    assert own[0][2:] == ["mixed devices: cpu, gpu"]
    assert "1–2 seeds" in shared


def test_what_all_curves_of_a_panel_have_in_common_is_in_its_title(make_results: Make, tmp_path: Path) -> None:
    """Data, the best ELBO, the verdict; and the defaults of settings that differ, so that labels name exceptions."""
    make_results(tmp_path, rhos=(0.8, 1.0), seeds=(0, 1))
    make_results(tmp_path, rhos=(1.0,), objective={"free_bits": 0.5})
    make_results(tmp_path, rhos=(1.0,), objective={"kl_anneal": (10, 20)})
    found = curves(gather([tmp_path]).frame)
    critical = {curve.key: {"kind": "few", "active_most": 1.0} for curve in found}
    title, labels = panel_legend(found, critical, {found[0].data: -90.126}, 30, 0.4)
    assert title.split("\n") == [
        f"mnist:embedded, {found[0].content}, K = 5, 3,000 steps, best median test ELBO −90.13, "
        "no $\\rho_c$: too few rho values",
        "unless noted: no KL annealing, no free bits",
    ]
    assert sorted(labels) == [
        "KL annealing (steps 10–30), 1 seed",
        "all as noted above, 2 seeds",
        "free bits 0.5 nats, 1 seed",
    ]


def test_what_differs_between_the_curves_of_a_panel_is_in_their_labels(make_results: Make, tmp_path: Path) -> None:
    """One setting that differs is said by every label, the default among them."""
    for objective in ({}, {"free_bits": 0.5}):
        make_results(tmp_path, datasets=("mnist:embedded", "glyphs:embedded"), objective=objective)
    found = curves(gather([tmp_path]).frame)
    critical = {
        curve.key: {"kind": "crossover", "rho_crossing": float("nan"), "rounding": i, "widest": i, "active_most": 1.0}
        for i, curve in enumerate(found)
    }
    best = {curve.data: -float(i) for i, curve in enumerate(found[::-1])}
    title, labels = panel_legend(found, critical, best, 30, 0.4)
    said = [f"−{-best[data]:.2f} ({data[0]})" for data in dict.fromkeys(curve.data for curve in found)]
    assert title == f"K = 5, 3,000 steps, 1 seed, best test ELBO {', '.join(said)}"
    for i, (curve, label) in enumerate(zip(found, labels, strict=True)):
        bits = "no free bits" if curve["free_bits"] is None else "free bits 0.5 nats"
        assert label == f"{curve.name}, {curve.content}, {bits}, crossover, width {i}"


def test_words_wrap_between_and_never_within() -> None:
    assert wrapped(["one two", "three", "four"], 10) == "one two, three, four"
    assert wrapped(["one two", "three", "four"], 0.5) == "one two,\nthree,\nfour"
    assert wrapped([], 1) == ""


@pytest.mark.parametrize(("ramp", "words"), [(2000, "1"), (8000, "0.25"), (2001, "0.999"), (10**9, "0")])
def test_annealing_that_did_not_finish_never_reads_as_finished(make_frame: MakeFrame, ramp: int, words: str) -> None:
    """3,000 steps of a ramp that begins at 1,000: the weight ends at 2,000 / ramp, 0.9995 among them."""
    frame = make_frame(rhos=(0.5, 1.0), objective={"kl_anneal": (1000, ramp)}, train=TrainSpec(3000))
    (curve,) = curves(frame)
    assert curve.kl_weight == min(1, 2000 / ramp)
    said = [] if words == "1" else ["annealing not finished", f"KL weight ends at {words}"]
    assert annealing_in_words([curve]) == said
    critical = {curve.key: {"kind": "few", "active_most": 1.0}}
    _, (label,) = panel_legend([curve], critical, {curve.data: -90.0}, 10, 0.4)
    assert all(each in label for each in said)
    assert ("KL weight" in label) == bool(said)


def test_of_several_weights_the_least_is_said(make_frame: MakeFrame) -> None:
    (curve,) = curves(make_frame(rhos=(0.9, 1.0)).assign(kl_weight=[0.9996, 1.0]))
    assert curve.unfinished == "0.999"
    (other,) = curves(make_frame(rhos=(0.9, 1.0)).assign(kl_weight=[0.5, 1.0]))
    assert annealing_in_words([curve, other])[1] == "KL weight ends at 0.5"
    (unknown,) = curves(make_frame(rhos=(0.9, 1.0)).drop(columns="kl_weight"))
    assert annealing_in_words([unknown]) == []


def test_devices_are_those_of_complete_cells(make_frame: MakeFrame) -> None:
    (curve,) = curves(
        make_frame(
            rhos=(1.0,),
            seeds=(0, 1, 2),
            state=lambda cell: "pending" if cell.member.seed == 2 else "complete",
            change=lambda cell, result: {**result, "device": f"gpu {cell.member.seed}"},
        )
    )
    assert curve.devices == ["gpu 0", "gpu 1"]
