"""What the pages say of files and commands is so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cli
from sweeps.cluster.submit import SubmitCommand

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PAGES = [page for page in PAGES if "_build" not in page.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `hvae-sweep ...` and `hvae-plot ...` in a code block or between backquotes, with the page it is on."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        quoted = re.findall(r"(?:^    |`)((?:hvae-sweep|hvae-plot) [^`\n#]*)", text, re.MULTILINE)
        for line in quoted:
            yield page.name, re.split(r"[\s\[\]]+", line.partition("&&")[0].partition(";")[0].strip())


def unknown(words: list[str]) -> list[str]:
    """Subcommands and options of a line that its command does not have."""
    command: click.Command = {"hvae-sweep": cli.sweep, "hvae-plot": cli.plot}[words[0]]
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return [rest[0]]
        command, rest = command.commands[rest[0]], rest[1:]
    if isinstance(command, SubmitCommand):
        asked = rest[rest.index("--") + 1 :] if "--" in rest else []
        return unknown(["hvae-sweep", *asked]) if asked and asked[0].isalpha() else []
    there = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return [word for word in rest if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in there | {"--help"}]


def test_commands_and_options_exist() -> None:
    found = list(commands())
    assert len(found) > 80
    assert [(page, shlex.join(words), wrong) for page, words in found if (wrong := unknown(words))] == []
