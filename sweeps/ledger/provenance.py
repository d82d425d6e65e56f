"""Where a number came from: code, versions, machine, device, options, times."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("hvae-sweep", "torch", "numpy", "ray", "pandas")


@functools.cache
def git_state() -> tuple[str | None, bool | None]:
    """Commit of the code that runs, and whether it was modified: of its checkout, or of the one a wheel was built from.

    (None, None) where neither is known.
    """
    here = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != here.parent:
            return _built_from(here)  # installed inside some other project's checkout
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return _built_from(here)


def _built_from(package: Path) -> tuple[str | None, bool | None]:
    """Read what setup.py wrote into the wheel."""
    try:
        sha, _, modified = (package / "commit.txt").read_text().strip().partition("-")
    except (OSError, UnicodeDecodeError):
        return None, None
    return sha, modified == "dirty"


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = str(torch.__version__)  # names the build too, which a wheel's own record may not
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
