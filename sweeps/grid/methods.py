"""The training methods that the paper compares, by name, as objectives.

A name is parts joined by +: a base (vae, hvae, hvae-ratio; vae where none is named) and what is added to it.

    vae          rho = 1, no smoothing            kl-anneal    the KL's weight rises linearly to 1
    hvae         U_rho on mu and sigma            free-bits    a floor under each layer's minibatch-mean KL
    hvae-ratio   U_rho on mu / sigma              iwae         k importance samples in the objective
    lvae         the ladder VAE                   skip         the ladder's generator reads all layers above
    biva         bidirectional inference          ou           U_rho on mu and sigma of lvae, biva, vampprior
    vampprior    a mixture of posteriors as top prior
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from hvae_core.checks import SpecError
from hvae_core.spec import DEFAULT_PSEUDO_INPUTS, ObjectiveSpec, Smoothing, SystemName, retained_variance

BASES: dict[str, Smoothing] = {"vae": "mean_std", "hvae": "mean_std", "hvae-ratio": "ratio"}
OTHERS = ("lvae", "biva", "vampprior")  # bases that are systems of their own
EXTRAS = ("kl-anneal", "free-bits", "iwae")
SKIP, OU = "skip", "ou"  # of the other systems; SKIP of lvae alone
MATCHED = "matched"
_PART = re.compile(r"(\d+(?:\.\d+)?)(%?)")


def read_anneal(text: str | None, steps: int) -> tuple[int, int] | None:
    """Read `start:ramp` in steps, or in percent of the run (1%:50%); raises SpecError."""
    if not text:
        return None
    parts = [_PART.fullmatch(part.strip()) for part in text.split(":")]
    if len(parts) != 2 or any(part is None or (not part[2] and "." in part[1]) for part in parts):
        allowed = "start:ramp in steps, or in percent of the run such as 1%:50%"
        raise SpecError(f"kl-anneal: {text!r} is not allowed; it must be {allowed}")
    start, ramp = (round(float(p[1]) * steps / 100) if p[2] else int(p[1]) for p in parts if p is not None)
    return start, max(1, ramp)


def with_beta(objectives: Iterable[ObjectiveSpec], beta_top: str) -> tuple[ObjectiveSpec, ...]:
    """Give objectives a weight of the top KL: a number, or `matched`.

    Matched asks whether smoothing is only a hidden beta: each objective loses its smoothing (rho = 1) and gets
    c(rho, K) instead, the weight that has the same threshold in the linear case. K stays as the record of it.
    """
    changed = []
    for objective in objectives:
        if beta_top == MATCHED:
            beta, rho = retained_variance(objective.rho, objective.ou_samples), 1.0
        else:
            beta, rho = _beta(beta_top), objective.rho
        changed.append(replace(objective, beta_top=beta, rho=rho))
    return tuple(changed)


@dataclass(frozen=True)
class Method:
    """A training method by name: a base, and what is added to it."""

    name: str
    base: str
    extras: tuple[str, ...]

    @classmethod
    def parse(cls, name: str) -> Method:
        """Read parts joined by +; a name without a base is one of vae. Raises SpecError."""
        parts = name.split("+")
        base, extras = (parts[0], parts[1:]) if parts[0] in (*BASES, *OTHERS) else ("vae", parts)
        own = {OU, *({SKIP} if base == "lvae" else ())} if base in OTHERS else set()
        if not set(extras) <= {*EXTRAS, *own} or len(set(extras)) < len(extras):
            allowed = (
                f"one of {', '.join((*BASES, *OTHERS))}, or {', '.join(EXTRAS)}, or parts joined by + such as "
                "hvae+kl-anneal, lvae+skip or lvae+ou"
            )
            raise SpecError(f"methods: {name!r} is not allowed; it must be {allowed}")
        return cls(name, base, tuple(extras))

    @property
    def system(self) -> SystemName:
        """How inference and generation are ordered."""
        if self.base in BASES:
            return "hvae"
        return cast(SystemName, f"{self.base}+{SKIP}" if SKIP in self.extras else self.base)

    def objectives(
        self,
        rhos: Sequence[float],
        ou_samples: int,
        kl_anneal: tuple[int, int] | None,
        free_bits: Sequence[float],
        iwae_k: int,
        pseudo_inputs: int = DEFAULT_PSEUDO_INPUTS,
    ) -> list[ObjectiveSpec]:
        """Return its objectives: a smoothed one at each rho below 1, with free bits one at each floor.

        Raises SpecError where a part of the method needs a value that was not given.
        """
        annealed, floored, weighted = (extra in self.extras for extra in EXTRAS)
        if annealed and kl_anneal is None:
            raise SpecError(f"kl-anneal: {self.name!r} needs start:ramp, such as 10000:500000 or 1%:50%")
        if floored and not free_bits:
            raise SpecError(f"free-bits: {self.name!r} needs at least one floor, such as 0.5 1 2 3")
        smoothed = OU in self.extras if self.base in OTHERS else self.base != "vae"
        axis = [rho for rho in rhos if rho < 1] if smoothed else [1.0]
        if not axis:
            raise SpecError(f"rho: {self.name!r} needs at least one value below 1")
        base = ObjectiveSpec(
            ou_samples=ou_samples,
            smoothing=BASES.get(self.base, "mean_std"),
            kl_anneal=kl_anneal if annealed else None,
            iwae_k=iwae_k if weighted else 1,
            system=self.system,
            pseudo_inputs=pseudo_inputs if self.system == "vampprior" else DEFAULT_PSEUDO_INPUTS,
        )
        floors: Sequence[float | None] = free_bits if floored else (None,)
        return [replace(base, rho=rho, free_bits=floor) for rho, floor in itertools.product(axis, floors)]


def objectives_of(
    names: Sequence[str],
    rhos: Sequence[float],
    ou_samples: int,
    kl_anneal: tuple[int, int] | None,
    free_bits: Sequence[float],
    iwae_k: int,
    pseudo_inputs: int = DEFAULT_PSEUDO_INPUTS,
) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives of methods, in their order; raises SpecError."""
    methods = [Method.parse(name) for name in names]
    values = (rhos, ou_samples, kl_anneal, free_bits, iwae_k, pseudo_inputs)
    by_method = [method.objectives(*values) for method in methods]
    return tuple(itertools.chain.from_iterable(by_method))


def _beta(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"beta-top: {text!r} is not allowed; it must be a number from 0, or {MATCHED}") from None
