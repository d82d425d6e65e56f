from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import cli


def offered(line: str) -> list[str]:
    """What TAB offers behind a line; a trailing blank begins a new word."""
    *words, last = line.split(" ")
    return [item.value for item in ShellComplete(cli.sweep, {}, "hvae-sweep", "_X").get_completions(words, last)]


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("dep", {"depth-width"}),
        ("rho --datasets om", {"omniglot", "omniglot:lake"}),
        ("rho --datasets mnist om", {"omniglot", "omniglot:lake"}),
        ("rho --datasets mnist --steps 10 --ou-s", {"--ou-samples"}),
        ("methods --methods hvae ia", set()),
        ("methods --methods vae hvae-", {"hvae-ratio"}),
        ("methods --methods hvae+k", {"hvae+kl-anneal"}),
        ("rho --preset figure1", {"figure1-left", "figure1-middle", "figure1-right"}),
    ],
)
def test_values_are_offered(line: str, some: set[str]) -> None:
    found = offered(line)
    assert some <= set(found)
    assert all(value.startswith(line.rpartition(" ")[2]) for value in found)
    assert bool(found) == bool(some)


def test_cells_are_offered_from_the_directory_that_is_named(tmp_path: Path) -> None:
    for name in ("1f3a", "1f4b", "2c"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    assert offered(f"show --out {tmp_path} 1f") == ["1f3a", "1f4b"]


def test_the_shell_asks_the_command_itself() -> None:
    """As bash does: no argument at all, which without the variable is answered with the help and status 2."""
    command = Path(sys.executable).with_name("hvae-sweep")
    asked = {"_HVAE_SWEEP_COMPLETE": "bash_complete", "COMP_WORDS": "hvae-sweep rho --datasets mn", "COMP_CWORD": "3"}
    done = subprocess.run([command], env=os.environ | asked, capture_output=True, text=True, timeout=100)
    assert "plain,mnist" in done.stdout.splitlines()
    assert done.stderr == ""
