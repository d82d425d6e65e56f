from __future__ import annotations

import click

from sweeps.options.click_commands import Group, misspelt, setting


@click.group(cls=Group)
def tool() -> None:
    pass


@tool.command()
@setting("--steps", type=int)
@setting("--data-dir")
def train() -> None:
    pass


@tool.group()
def data() -> None:
    pass


@data.command()
@setting("--cache")
def fetch() -> None:
    pass


def test_a_variable_that_sets_nothing_is_named_with_what_was_meant() -> None:
    fine = {"HVAE_STEPS": "3", "HVAE_DATA_DIR": "x", "HVAE_CACHE": "y", "PATH": "z", "XHVAE_STEP": "1"}
    assert misspelt(tool, fine) == []
    one, two = misspelt(tool, fine | {"HVAE_STEP": "3", "HVAE_NONSENSE_QQ": "1"})
    assert one == "note: HVAE_NONSENSE_QQ sets nothing"
    assert two == "note: HVAE_STEP sets nothing; did you mean HVAE_STEPS?"


def test_a_group_without_settings_says_nothing() -> None:
    assert misspelt(click.Group(commands=[click.Command("draw")]), {"HVAE_STEPS": "3"}) == []
