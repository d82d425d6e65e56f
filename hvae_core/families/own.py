"""A family of the user's own: `--model package.module:factory`, or the name of an entry point `hvae_sweep.models`.

The factory takes nothing and returns a `Family`. A cell records its name, the shapes of its latents and its code: the
distribution and version of an entry point, or the checksum of the module's file. Reading a results directory imports
nothing; training and loading a model do, and stop where the code is another than the recorded one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import typing
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.checks import SpecError
from hvae_core.families.base import Family, RowFloats, Shape
from hvae_core.image import ImageSpec

if TYPE_CHECKING:
    from hvae_core.networks.base import Networks

GROUP = "hvae_sweep.models"
GRAMMAR = "package.module:factory of your own"
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME = re.compile(r"[A-Za-z][\w.-]*")


@dataclass(frozen=True)
class OwnFamily(Family):
    """A user's family as a cell knows it: the text of `--model`, its code, the shapes of its latents."""

    reference: str
    fingerprint: str
    shapes: tuple[Shape, ...]

    @classmethod
    def recorded(cls, name: str, code: str, latents: str | None) -> OwnFamily:
        """Read what a configuration records; raises SpecError where it is not what `find` would have made."""
        parts = (latents or "").split("-")
        if not (_REFERENCE.fullmatch(name) or _NAME.fullmatch(name)) or not all(
            re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){0,2}", part) for part in parts
        ):
            raise SpecError(f"model: {name!r} with latents {latents!r} is not a model of this version")
        return cls(name, code, tuple(tuple(map(int, part.split("x"))) for part in parts))

    @property
    def name(self) -> str:
        """What `--model` was given."""
        return self.reference

    @property
    def code(self) -> str:
        """Distribution and version, or the checksum of the module's file."""
        return self.fingerprint

    @property
    def latents(self) -> tuple[Shape, ...]:
        """Shape of each stochastic layer."""
        return self.shapes

    def networks(self, members: int, image: ImageSpec, outputs: int) -> Networks:
        """Build the networks by the user's code; raises SpecError where that is not the recorded one."""
        return self._built().networks(members, image, outputs)

    def parameters(self, image: ImageSpec, outputs: int) -> int:
        """Count the weights of one member."""
        return self._built().parameters(image, outputs)

    def row_floats(self, image: ImageSpec, outputs: int) -> RowFloats:
        """Count what training keeps for a row of each network."""
        return self._built().row_floats(image, outputs)

    def _built(self) -> Family:
        family, code = _load(self.reference)
        if code != self.fingerprint:
            raise SpecError(
                f"model: {self.reference!r} is {code} here and was {self.fingerprint} when it was planned; "
                "install the same code, or use another --out"
            )
        return family


def find(text: str) -> OwnFamily | None:
    """Import a user's family by what was typed; None for a text that names none, SpecError where it is no good."""
    if not _REFERENCE.fullmatch(text) and not _entry_points(text):
        return None
    family, code = _load(text)
    return OwnFamily(text, code, family.latents)


def _entry_points(name: str) -> list[metadata.EntryPoint]:
    return list(metadata.entry_points(group=GROUP, name=name)) if _NAME.fullmatch(name) else []


@cache
def _load(reference: str) -> tuple[Family, str]:
    """Import a family; returns it and the fingerprint of its code."""
    module, _, attribute = reference.partition(":")
    version = ""
    if not attribute:
        points = _entry_points(reference)
        if not points:
            raise SpecError(f"model: {reference!r} is no entry point {GROUP} that is installed here")
        point = points[0]
        module, attribute = point.module, point.attr
        version = f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""
    try:
        loaded = importlib.import_module(module)
        factory = getattr(loaded, attribute)
    except Exception as error:  # a module of the user's may raise anything as it is imported
        reason = (str(error).splitlines() or [""])[0]
        raise SpecError(
            f"model: {reference!r} cannot be imported ({type(error).__name__}: {reason}); it must be in a package that "
            "is installed, or in a folder on PYTHONPATH, on every machine that trains"
        ) from error
    if not _returns_family(factory):
        raise SpecError(
            f"model: {reference!r} is no factory; it must be a subclass of hvae_core.families.Family, or a function "
            "that is annotated to return one"
        )
    try:
        family = factory()
    except Exception as error:  # the user's own code again
        reason = (str(error).splitlines() or [""])[0]
        raise SpecError(f"model: {reference!r} cannot be built ({type(error).__name__}: {reason})") from error
    return family, version or _checksum(reference, loaded)


def _returns_family(factory: Any) -> bool:
    """Whether calling it is meant to give a Family: nothing else is ever called because a configuration names it."""
    if isinstance(factory, type):
        return issubclass(factory, Family)
    try:
        result = typing.get_type_hints(factory).get("return")
    except (TypeError, NameError, AttributeError):
        return False
    return isinstance(result, type) and issubclass(result, Family)


def _checksum(reference: str, module: Any) -> str:
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        raise SpecError(f"model: {reference!r} has no file whose checksum could be recorded")
    return f"sha256:{hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"
