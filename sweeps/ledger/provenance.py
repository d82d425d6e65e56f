"""Where a number came from: code, versions, machine, device, options, times."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("hvae-sweep", "torch", "numpy", "ray", "pandas")


@functools.cache
def git_state() -> tuple[str | None, bool | None]:
    """Commit of the source tree that runs and whether it was modified; (None, None) outside a checkout."""
    here = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != here.parent:
            return None, None  # installed inside some other project's checkout
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def provenance(**facts: Any) -> dict[str, Any]:
    """Return what provenance.json holds: the facts given, and what this process knows of itself."""
    sha, dirty = git_state()
    return {
        "git_sha": sha,
        "git_dirty": dirty,
        "versions": versions(),
        "host": platform.node(),
        "pid": os.getpid(),
        "machine": f"{platform.system()} {platform.machine()}",
        **facts,
    }
