"""Checkpoints of a whole pack: one atomic directory each, two generations.

A checkpoint is written beside its final name, flushed to disk and then renamed, so a directory called
`checkpoint-<step>` is whole or does not exist. It is read with `weights_only`, which runs no code from the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hvae_core.sync import sync_directory

GENERATIONS = 2
_NAME = re.compile(r"checkpoint-(\d{1,18})")


def save_checkpoint(directory: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write `directory/checkpoint-<step>` atomically and drop all but the newest two."""
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / f"checkpoint-{step}"
    temporary = Path(tempfile.mkdtemp(prefix=".checkpoint-", dir=directory))
    try:
        content = io.BytesIO()  # a full disk is then an OSError, not one of torch's own
        torch.save(dict(state), content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        for name, part in (("state.pt", content.getbuffer()), ("sha256", digest.encode())):
            with (temporary / name).open("wb") as file:
                file.write(part)
                file.flush()
                os.fsync(file.fileno())
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        sync_directory(directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in _newest_first(directory)[GENERATIONS:]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(directory: Path, of: str, note: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the newest usable checkpoint's state, on the CPU, or None.

    One that is damaged, or whose state["of"] names another training, is set aside as `unreadable-*` with a line to
    `note`; the next older one takes its place.
    """
    for path in _newest_first(directory):
        try:
            content = _regular(path / "state.pt")
            if hashlib.sha256(content).hexdigest().encode() != _regular(path / "sha256"):
                raise ValueError("is not what was written")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or state.get("of") != of:
                raise ValueError("is of another training")
        except Exception as error:  # torch raises many kinds for a damaged file; each means: not this one
            n = 1
            while (aside := path.with_name(f"unreadable-{path.name}-{n}")).exists():
                n += 1
            path.rename(aside)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            note(f"{path}: {reason[:200]}; set aside as {aside.name}, training goes on from before it")
        else:
            return state
    return None


def remove_checkpoints(directory: Path) -> None:
    """Delete every generation, and what a killed writer left behind."""
    if directory.is_dir():
        for path in directory.iterdir():
            if path.name.lstrip(".").startswith(("checkpoint-", "unreadable-checkpoint-")):
                shutil.rmtree(path, ignore_errors=True)


def _regular(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():  # reading a pipe would never end
        raise ValueError(f"{path.name} is no regular file")
    return path.read_bytes()


def _newest_first(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    found = [(int(match[1]), path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]
