"""What a command has to say: lines for a person, or one JSON object."""

from __future__ import annotations

import json
from typing import Any

import click


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts by name."""
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo("\n".join(f"{name}: {', '.join(v) if isinstance(v, list) else v}" for name, v in facts.items()))
