"""What the nodes of a cluster must have in common before anything is trained: the results directory and the versions.

A marker is written here and read there, in a task on each node: files that a node does not see would be lost with it.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeps.ledger.provenance import git_state, versions

SAME = ("python", "torch", "ray", "hvae-sweep")
MARKER = "marker"


@dataclass(frozen=True)
class Seen:
    """What one node says of itself: its address and host, what it reads at the marker (None: nothing), its versions."""

    address: str
    host: str
    marker: str | None
    versions: Mapping[str, str]


def leave_marker(folder: Path) -> str:
    """Write a marker that nobody can guess into a folder and return it."""
    token = secrets.token_hex(16)
    (folder / MARKER).write_text(token)
    return token


def look(folder: str, address: str) -> Seen:
    """Look at the marker's folder from this node, whose address Ray knows."""
    try:
        marker = (Path(folder) / MARKER).read_text()
    except (OSError, UnicodeDecodeError):
        marker = None
    return Seen(address, socket.gethostname(), marker, own_versions())


def own_versions() -> dict[str, str]:
    """Return the versions that have to be the same; that of this tool with its commit, where that is known."""
    found = {name: versions().get(name, "missing") for name in SAME}
    sha, _ = git_state()
    return found | {"hvae-sweep": f"{found['hvae-sweep']} ({sha[:10]})"} if sha else found


def differences(root: Path, token: str, here: Mapping[str, str], nodes: Iterable[Seen]) -> list[str]:
    """Return a line on each node that sees other files or has other versions than this machine."""
    lines = []
    for seen in nodes:
        node = f"node {seen.address} ({seen.host})"
        if seen.marker != token:
            lines.append(f"{node} does not see {root}; it must be on a file system that all nodes share")
        other = {name: seen.versions.get(name, "missing") for name in here if seen.versions.get(name) != here[name]}
        if other:
            words = [f"{name} {version} (here {here[name]})" for name, version in other.items()]
            lines.append(f"{node} has {', '.join(words)}; all nodes must have the same")
    return lines
