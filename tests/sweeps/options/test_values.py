from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import cli
from hvae_core.checks import SpecError
from sweeps.options.values import Kind, floats, items, load_config, seeds, spread

LISTS = {"--datasets": None, "--format": frozenset({"png", "pdf"})}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("--datasets a b --steps 3", "--datasets a --datasets b --steps 3"),
        ("--datasets a --datasets b", "--datasets a --datasets b"),
        ("--datasets=a b", "--datasets=a --datasets b"),
        ("--steps 3 x --datasets a", "--steps 3 x --datasets a"),
        ("--format png pdf results", "--format png --format pdf results"),
        ("--format png,pdf results", "--format png,pdf results"),
        ("--datasets a -- b c", "--datasets a -- b c"),
        ("--datasets --steps 3", "--datasets --steps 3"),
        ("results --datasets a b", "results --datasets a --datasets b"),
    ],
)
def test_lists_as_a_user_types_them(typed: str, expected: str) -> None:
    assert spread(typed.split(), LISTS) == expected.split()


@given(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
def test_spaces_repeats_and_commas_are_one_list(names: list[str]) -> None:
    spaced = spread(["--datasets", *names], LISTS)
    assert spaced == [part for name in names for part in ("--datasets", name)]
    assert items("datasets", names) == items("datasets", [",".join(names)]) == names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0:1:0.25"], (0, 0.25, 0.5, 0.75, 1)),
        (["0:1:0.1"], tuple(i / 10 for i in range(11))),
        (["1:0:-0.5"], (1, 0.5, 0)),
        (["0.5", "0.8,0.9"], (0.5, 0.8, 0.9)),
        (["0:0.2:0.1", "1"], (0, 0.1, 0.2, 1)),
        (["0.3:0.3:1"], (0.3,)),
    ],
)
def test_ranges_have_both_ends(values: list[str], expected: tuple[float, ...]) -> None:
    assert floats("rho", values) == expected


@given(st.integers(0, 500), st.integers(1, 200), st.integers(1, 4))
def test_ranges_are_exact_decimals(start: int, count: int, places: int) -> None:
    step = 10**-places
    text = f"{start}:{start + count * step:.{places}f}:{step:.{places}f}"
    found = floats("rho", [text])
    assert found == tuple(round(start + i * step, places) for i in range(count + 1))


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["3"], (0, 1, 2)), (["0,1,7"], (0, 1, 7)), (["4", "2"], (4, 2)), (["4:6"], (4, 5, 6)), (["5:5"], (5,))],
)
def test_seeds_are_a_count_or_a_list(values: list[str], expected: tuple[int, ...]) -> None:
    assert seeds(values) == expected


@pytest.mark.parametrize(
    "values",
    [[""], ["a"], ["0:1:0"], ["0:1:-0.1"], ["1:0:0.1"], ["0:1"], ["0:1:0.3"], ["0:1:0.1:2"], ["0.5", "0.50"]]
    + [["0.5,,0.6"], ["nan"], ["inf"], ["0:1:1e-9"], ["0:inf:1"], ["0.5 0.6"]],
)
def test_rho_lists_that_are_wrong_say_so_in_one_line(values: list[str]) -> None:
    with pytest.raises(SpecError, match="^rho: ") as error:
        floats("rho", values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("values", [[""], ["0"], ["-3"], ["a"], ["1.5"], ["1,1"], ["9:4"], ["1,"], ["1000000"]])
def test_seed_lists_that_are_wrong_say_so_in_one_line(values: list[str]) -> None:
    with pytest.raises(SpecError, match="^seeds: ") as error:
        seeds(values)
    assert "\n" not in str(error.value)


def test_config_files(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('model = ["mlp4x40"]\nbatch-size = 7\n')
    known = {"model": Kind((str,), many=True), "batch_size": Kind((int,)), "seeds": Kind((int, str), many=True)}
    assert load_config(path, known, "rho") == {"model": ["mlp4x40"], "batch_size": 7}
    for text, expected in (("seeds = 3", [3]), ("seeds = [3]", ["3:3"]), ("seeds = [3, 4]", [3, 4])):
        path.write_text(text)
        assert load_config(path, known, "rho")["seeds"] == expected
    for text in ("colour = 1", "model = ", "[model]\na = 1"):
        path.write_text(text)
        with pytest.raises(SpecError, match="^config: ") as error:
            load_config(path, known, "rho")
        assert "\n" not in str(error.value)
    with pytest.raises(SpecError, match="No such file"):
        load_config(tmp_path / "no.toml", known, "rho")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_bytes(b"\xef\xbb\xbfsteps = 5\n")
    words = ["--config", str(path), "--datasets", "glyphs", "--dry-run", "--out", str(tmp_path / "r")]
    done = CliRunner().invoke(cli.sweep, ["rho", *words])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("text", ["s3://bucket/x", "file:///x", "gs://b"])
def test_an_address_is_no_directory(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command, words in (
        (cli.sweep, ["rho", "--datasets", "glyphs", "--dry-run", "--out", text]),
        (cli.sweep, ["status", text]),
        (cli.plot, ["phase-transition", text]),
        (cli.plot, ["table", str(tmp_path), "--out", text]),
    ):
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 2
        assert f"{text.partition(':')[0]}:// is not supported" in done.stderr
    assert not list(tmp_path.iterdir())
