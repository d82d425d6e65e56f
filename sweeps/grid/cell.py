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
from hvae_core.families.mlp import ModelSpec
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec, kl_weight

SCHEMA = 1
ID = re.compile(r"[0-9a-f]{16}")


def content_id(value: object) -> str:
    """Hash a JSON value to 16 hexadecimal digits, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Cell:
    """One model to train: data by content, architecture, objective and seed, training run."""

    dataset: str
    source: str
    checksum: str
    binarise: str
    model: ModelSpec
    member: Member
    train: TrainSpec

    @property
    def config(self) -> dict[str, Any]:
        """What the id hashes, and what config.json holds."""
        objective = self.member.objective
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "source": self.source,
            "checksum": self.checksum,
            "binarise": self.binarise,
            "model": self.model.name,
            "rho": objective.rho,
            "ou_samples": objective.ou_samples,
            "smoothing": objective.smoothing,
            "beta_top": objective.beta_top,
            "kl_anneal": None if objective.kl_anneal is None else list(objective.kl_anneal),
            "free_bits": objective.free_bits,
            "iwae_k": objective.iwae_k,
            "seed": self.member.seed,
            "steps": self.train.steps,
            "batch_size": self.train.batch_size,
            "lr": self.train.lr,
            "precision": self.train.precision,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Cell:
        """Read a config.json back; raises SpecError in one line if it is of another version or not valid."""
        if config.get("schema") != SCHEMA:
            raise SpecError(f"schema: {config.get('schema')!r} is not readable by this version, which knows {SCHEMA}")
        try:
            anneal = config["kl_anneal"]
            objective = ObjectiveSpec(
                rho=config["rho"],
                ou_samples=config["ou_samples"],
                smoothing=config["smoothing"],
                beta_top=config["beta_top"],
                kl_anneal=None if anneal is None else (anneal[0], anneal[1]),
                free_bits=config["free_bits"],
                iwae_k=config["iwae_k"],
            )
            train = TrainSpec(config["steps"], config["batch_size"], config["lr"], config["precision"])
            dataset, source, checksum, binarise = (config[k] for k in ("dataset", "source", "checksum", "binarise"))
            if not all(isinstance(text, str) for text in (dataset, source, checksum, binarise)):
                raise SpecError("dataset, source, checksum and binarise must be text")
            model, member = ModelSpec.parse(config["model"]), Member(objective, config["seed"])
            return cls(dataset, source, checksum, binarise, model, member, train)
        except (KeyError, TypeError, IndexError) as error:
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
        """What cells must share to train as one stacked model; only rho, beta, free bits and seed may differ."""
        data = (self.dataset, self.source, self.checksum, self.binarise)
        return (*data, self.model, self.member.objective.kind, self.train)

    @property
    def row(self) -> dict[str, Any]:
        """Declared columns of this cell's row in results.csv."""
        config = self.config
        anneal = self.member.objective.kl_anneal
        return {
            **{key: config[key] for key in ("dataset", "source", "checksum", "binarise", "model")},
            "family": self.model.family,
            "depth": self.model.depth,
            "width": self.model.width,
            **{key: config[key] for key in ("rho", "ou_samples", "smoothing")},
            "method": self.member.objective.method,
            "beta_top": config["beta_top"],
            "kl_anneal": None if anneal is None else f"{anneal[0]}:{anneal[1]}",
            "kl_weight": kl_weight(anneal, self.train.steps),
            **{key: config[key] for key in ("free_bits", "iwae_k", "seed", "steps", "batch_size", "lr", "precision")},
        }
