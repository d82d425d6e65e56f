"""Loaded by every Python process of a sweep whose PYTHONPATH begins with this folder: does what FAULTS asks for.

FAULTS is a JSON object: {"checkpoint_seconds": 0.2, "pause": 0.01, "kill": ["result.json written", 2], ...}. The
product's modules are patched as they are loaded; nothing else is touched, and nothing is imported for it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

FAULTS: dict[str, Any] = json.loads(os.environ.get("FAULTS", "{}"))
reached: dict[str, int] = {}


def point(name: str) -> None:
    """Die here if FAULTS names this point and it is the n-th time; with "once", a file, only the first process does."""
    reached[name] = reached.get(name, 0) + 1
    if FAULTS.get("kill") == [name, reached[name]]:
        if "once" in FAULTS:
            try:
                os.close(os.open(FAULTS["once"], os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
        os.kill(os.getpid(), signal.SIGKILL)


def around(function: Callable[..., Any], before: Callable[..., str], after: Callable[..., str]) -> Callable[..., Any]:
    """Wrap a function with a point before and after; both are named by its arguments."""

    def wrapped(*args: Any, **keywords: Any) -> Any:
        point(before(*args))
        value = function(*args, **keywords)
        point(after(*args))
        return value

    return wrapped


def named(text: str) -> Callable[..., str]:
    return lambda *args: text


def patch_worker(module: Any) -> None:
    removed = around(module.remove_checkpoints, named("checkpoints removing"), named("checkpoints removed"))
    module.remove_checkpoints = removed
    module.Claim.__exit__ = around(module.Claim.__exit__, named("claim releasing"), named("claim released"))


def patch_part(module: Any) -> None:
    module.CHECKPOINT_SECONDS = FAULTS.get("checkpoint_seconds", module.CHECKPOINT_SECONDS)


def patch_ledger(module: Any) -> None:
    for name in ("write_bytes", "write_json"):
        names = [lambda path, *_, word=word: f"{path.name} {word}" for word in ("writing", "written")]
        setattr(module, name, around(getattr(module, name), *names))


def patch_files(module: Any) -> None:
    class Os:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def replace(self, source: Any, target: Any) -> None:
            point(f"{target.name} replacing")
            os.replace(source, target)  # noqa: PTH105

    module.os = Os()


def patch_checkpoint(module: Any) -> None:
    """Points: half (of state.pt is in the file), state.pt flushed, renaming (all under its temporary name), renamed."""

    class HalfWritten(module.io.BytesIO):  # type: ignore[misc]
        def getbuffer(self) -> Any:
            whole = super().getbuffer()
            return whole[: len(whole) // 2] if FAULTS.get("kill") == ["half", reached.get("half", 0) + 1] else whole

    class Os:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def fsync(self, descriptor: int) -> None:
            os.fsync(descriptor)
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/state.pt"):  # noqa: PTH115
                point("half")
                point("state.pt flushed")

    class Path(type(module.Path())):  # type: ignore[misc]
        def rename(self, target: Any) -> Any:
            point("renaming")
            return super().rename(target)

    class Io:
        BytesIO = HalfWritten

    if "kill" in FAULTS:
        module.io, module.os, module.Path = Io, Os(), Path
        module.sync_directory = around(module.sync_directory, named("renamed"), named("synced"))


def patch_train(module: Any) -> None:
    """Slow every step down (while a file is there, if FAULTS names one), without changing it.

    Or let packs of one rho, which are not slowed, diverge at a step.
    """
    module.CHECKPOINT_SHARE = 1.0  # a busy disk must not make checkpoints rare
    advance, torch = module.PackTrainer.advance, module.torch

    def slow(self: Any) -> Any:
        rho, step = FAULTS.get("diverge", (None, 0))
        if {member.objective.rho for member in self.members} != {rho}:
            slowed = "while" not in FAULTS or os.path.exists(FAULTS["while"])  # noqa: PTH110
            time.sleep(FAULTS.get("pause", 0.0) if slowed else 0.0)
        elif self.step == step:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.fill_(float("nan"))
        return advance(self)

    module.PackTrainer.advance = slow


def patch_clock(module: Any) -> None:
    """Set this module's datetime back by an hour once the file that FAULTS names exists."""

    class Back(module.datetime):  # type: ignore[misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(time.time(), tz)

    module.datetime = Back


PATCHES: dict[str, list[Callable[[Any], None]]] = {
    "sweeps.running.pack": [patch_worker],
    "sweeps.running.part": [patch_part],
    "sweeps.ledger.atomic_files": [patch_files],
    "sweeps.ledger.ledger": [patch_ledger],
    "hvae_core.training.checkpoint": [patch_checkpoint],
    "hvae_core.training.trainer": [patch_train],
}


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of PATCHES as everybody else does, and patches them once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PATCHES:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_patch(module: ModuleType) -> None:
                load(module)
                for patch in PATCHES[name]:
                    patch(module)

            spec.loader.exec_module = load_and_patch  # type: ignore[method-assign]
        return spec


if FAULTS:
    sys.meta_path.insert(0, Finder())
    if "clock" in FAULTS:
        true_time = time.time

        def set_back() -> float:
            return true_time() - 3600 * os.path.exists(FAULTS["clock"])  # noqa: PTH110

        time.time = set_back
        time.time_ns = lambda: int(set_back() * 1e9)
        for _module in ("sweeps.ledger.claims", "sweeps.running.driver", "sweeps.planning.plan", "sweeps.running.part"):
            PATCHES.setdefault(_module, []).append(patch_clock)
