"""A cell: one trained model, one point of the grid, known by a hash of everything that can change its numbers.

Not part of it: the device, the pack, the workers, how often it is evaluated, where its data lies. Two requests that
mean the same model share a cell, and a complete cell is never trained again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hvae_core.checks import SpecError
from hvae_core.families.base import Family
from hvae_core.families.registry import recorded_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec, kl_weight
from sweeps.grid.declared import BY_NAME, SETTINGS, Part, names

SCHEMA = 1
ID = re.compile(r"[0-9a-f]{16}")
DERIVED = {"model": ("family", "depth", "width"), "smoothing": ("method",), "kl_anneal": ("kl_weight",)}
COLUMNS = tuple(name for setting in SETTINGS for name in (setting.name, *DERIVED.get(setting.name, ())))
"""Names of `Cell.row`, in order: the declared settings, each followed by what is derived from it."""


def content_id(value: object) -> str:
    """Hash a JSON value to 16 hexadecimal digits, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recorded(model: Family) -> dict[str, str | None]:
    """Say what a configuration records of a model: its name, and of a user's own family its code and latents."""
    own = "-".join("x".join(map(str, shape)) for shape in model.latents) if model.code is not None else None
    return {"model": model.name, "model_code": model.code, "latents": own}


@dataclass(frozen=True)
class Cell:
    """One model to train: data by content, architecture, objective and seed, training run."""

    dataset: str
    source: str
    checksum: str
    binarise: str
    model: Family
    member: Member
    train: TrainSpec

    def __getitem__(self, name: str) -> Any:
        """Return the value of a declared setting."""
        match BY_NAME[name].part:
            case "model":
                return recorded(self.model)[name]
            case "objective":
                return getattr(self.member.objective, name)
            case "member":
                return getattr(self.member, name)
            case "train":
                return getattr(self.train, name)
            case "data":
                return getattr(self, name)

    @property
    def config(self) -> dict[str, Any]:
        """What the id hashes, and what config.json holds."""
        settings = {setting.name: (setting, self[setting.name]) for setting in SETTINGS}
        hashed = {name: value for name, (setting, value) in settings.items() if setting.is_hashed(value)}
        return {"schema": SCHEMA, **{k: list(v) if isinstance(v, tuple) else v for k, v in hashed.items()}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Cell:
        """Read a config.json back; raises SpecError in one line if it is of another version or not valid."""
        if config.get("schema") != SCHEMA:
            raise SpecError(f"schema: {config.get('schema')!r} is not readable by this version, which knows {SCHEMA}")
        try:
            values = {setting.name: setting.from_config(config) for setting in SETTINGS}

            def part(name: Part) -> dict[str, Any]:
                return {key: values[key] for key in names(name)}

            model, objective = recorded_model(*part("model").values()), ObjectiveSpec(**part("objective"))
            member, train = Member(objective, **part("member")), TrainSpec(**part("train"))
            return cls(**part("data"), model=model, member=member, train=train)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise SpecError(f"config: {type(error).__name__}: {error}") from error

    @cached_property
    def id(self) -> str:
        """Hash of the declared configuration, 16 hexadecimal digits."""
        return content_id(self.config)

    @property
    def title(self) -> str:
        """What a person calls it."""
        objective, seed = self.member.objective, self.member.seed
        return f"{self.dataset}:{self.source} {self.model.name} {objective.label} seed {seed}"

    @property
    def pack_key(self) -> tuple[object, ...]:
        """What cells must share to train as one stacked model."""
        return tuple(self[setting.name] for setting in SETTINGS if not setting.varies_in_pack)

    @property
    def row(self) -> dict[str, Any]:
        """Its declared columns in results.csv, each followed by the columns that are derived from it."""
        derived = {
            "model": (self.model.family, self.model.depth, self.model.width),
            "smoothing": (self.member.objective.method,),
            "kl_anneal": (kl_weight(self.member.objective.kl_anneal, self.train.steps),),
        }
        row: dict[str, Any] = {}
        for setting in SETTINGS:
            value = self[setting.name]
            row[setting.name] = ":".join(map(str, value)) if isinstance(value, tuple) else value
            row |= zip(DERIVED.get(setting.name, ()), derived.get(setting.name, ()), strict=True)
        return row
