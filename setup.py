"""Writes the commit that a wheel is built from into the wheel; everything else is in pyproject.toml."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


def commit() -> str:
    """Return the commit of this checkout, with -dirty if it was modified; "" outside one."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        prefix = subprocess.run(["git", "rev-parse", "--show-prefix"], check=True, capture_output=True, text=True)
        found = subprocess.run(describe, check=True, capture_output=True, text=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if prefix.stdout.strip() else found.stdout.strip()  # a prefix: inside some other project's checkout


class BuildWithCommit(build_py):
    """Adds sweeps/commit.txt, which sweeps/ledger/provenance.py reads where there is no checkout to ask."""

    def run(self) -> None:  # noqa: D102
        super().run()
        if not self.editable_mode and (found := commit()):
            (Path(self.build_lib) / "sweeps" / "commit.txt").write_text(found + "\n")


setup(cmdclass={"build_py": BuildWithCommit})
