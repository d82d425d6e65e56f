"""What is trained, as frozen values: the objective, the training run, a member of a pack.

Everything here is checked when it is built, so that nothing downstream has to. Numbers are rounded to twelve
significant digits before they are used or hashed: 0.1 + 0.2 and 0.3 are one model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hvae_core.checks import is_finite, number, require, require_whole

Smoothing: TypeAlias = Literal["mean_std", "ratio"]
Precision: TypeAlias = Literal["float32", "float64", "tf32", "bf16"]
SystemName: TypeAlias = Literal["hvae", "lvae", "lvae+skip", "biva", "vampprior"]

SMOOTHINGS: tuple[Smoothing, ...] = ("mean_std", "ratio")
PRECISIONS: tuple[Precision, ...] = ("float32", "float64", "tf32", "bf16")
SYSTEMS: tuple[SystemName, ...] = ("hvae", "lvae", "lvae+skip", "biva", "vampprior")
DEFAULT_PSEUDO_INPUTS = 500
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class ObjectiveSpec:
    """What training maximises.

    rho, ou_samples, smoothing: U_rho with K correlated samples (rho = 1 is the plain VAE).
    beta_top: weight of the top layer's KL.
    kl_anneal: (a, b) weights all KL by 0 for a steps and then linearly up to 1 over b further steps; None: always 1.
    free_bits: floor in nats under each stochastic layer's minibatch-mean KL; None: no floor.
    iwae_k: importance samples of the objective; 1 is the ELBO.
    system: how inference and generation are ordered; pseudo_inputs: components of the VampPrior.
    """

    rho: float = 1.0
    ou_samples: int = 5
    smoothing: Smoothing = "mean_std"
    beta_top: float = 1.0
    kl_anneal: tuple[int, int] | None = None
    free_bits: float | None = None
    iwae_k: int = 1
    system: SystemName = field(default="hvae", repr=False)
    pseudo_inputs: int = field(default=DEFAULT_PSEUDO_INPUTS, repr=False)

    def __post_init__(self) -> None:
        require(is_finite(self.rho) and 0 <= self.rho <= 1, "rho", self.rho, "in [0, 1]")
        require_whole("ou-samples", self.ou_samples, 1, 10_000)
        require(self.smoothing in SMOOTHINGS, "smoothing", self.smoothing, " or ".join(SMOOTHINGS))
        finite = is_finite(self.beta_top) and self.beta_top >= 0
        require(finite, "beta-top", self.beta_top, "finite and at least 0")
        if self.kl_anneal is not None:
            start, ramp = self.kl_anneal
            whole = type(start) is type(ramp) is int and 0 <= start <= 10**9 and 1 <= ramp <= 10**9
            allowed = "start:ramp in whole steps, start from 0 and ramp from 1 to 10^9"
            require(whole, "kl-anneal", self.kl_anneal, allowed)
        if self.free_bits is not None:
            positive = is_finite(self.free_bits) and self.free_bits > 0
            require(positive, "free-bits", self.free_bits, "finite and above 0")
        require_whole("iwae-k", self.iwae_k, 1, 10_000)
        require(self.system in SYSTEMS, "system", self.system, ", ".join(SYSTEMS))
        require_whole("pseudo-inputs", self.pseudo_inputs, 1, 10**5)
        if self.system != "vampprior":
            usual = self.pseudo_inputs == DEFAULT_PSEUDO_INPUTS
            require(usual, "pseudo-inputs", self.pseudo_inputs, "left out without the system vampprior")
        if self.iwae_k > 1:
            plain = self.beta_top == 1 and self.kl_anneal is None and self.free_bits is None
            require(plain, "iwae-k", self.iwae_k, "1 where beta-top, kl-anneal or free-bits is set")
        for name in ("rho", "beta_top", "free_bits"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, number(value))

    @property
    def method(self) -> str:
        """Short name of the training method, as in the column `method`: vae, hvae, hvae-ratio, hvae+kl-anneal, ...

        Of other systems: lvae, lvae+ou where the generator is smoothed, ...
        """
        extras = [
            name
            for name, present in (
                ("beta-top", self.beta_top != 1),
                ("kl-anneal", self.kl_anneal is not None),
                ("free-bits", self.free_bits is not None),
                ("iwae", self.iwae_k > 1),
            )
            if present
        ]
        if self.system != "hvae":
            smoothed = [] if self.rho == 1 else ["ou" if self.smoothing == "mean_std" else "ou-ratio"]
            return "+".join([self.system, *smoothed, *extras])
        if self.rho == 1:
            return "+".join(extras) or "vae"
        base = "hvae" if self.smoothing == "mean_std" else "hvae-ratio"
        return "+".join([base, *extras])

    @property
    def label(self) -> str:
        """rho, and whatever else is not the plain ELBO's."""
        parts = [*([self.system] if self.system != "hvae" else []), f"rho {self.rho:g}"]
        if self.smoothing != "mean_std":
            parts.append(self.smoothing)
        if self.beta_top != 1:
            parts.append(f"beta-top {self.beta_top:g}")
        if self.kl_anneal is not None:
            parts.append(f"kl-anneal {self.kl_anneal[0]}:{self.kl_anneal[1]}")
        if self.free_bits is not None:
            parts.append(f"free-bits {self.free_bits:g}")
        if self.iwae_k > 1:
            parts.append(f"iwae {self.iwae_k}")
        if self.system == "vampprior":
            parts.append(f"{self.pseudo_inputs} pseudo-inputs")
        return " ".join(parts)

    @property
    def kind(self) -> tuple[object, ...]:
        """What members of one pack must have in common; rho, beta_top and the free-bits floor may differ."""
        return (self.ou_samples, self.smoothing, self.kl_anneal, self.iwae_k, self.system, self.pseudo_inputs)


def retained_variance(rho: float, ou_samples: float, degree: int = 1) -> float:
    """c(rho, K) in [1/K, 1]: the share of a degree-n Hermite component's variance that K smoothing samples keep."""
    return rho ** (2 * degree) * (1 - 1 / ou_samples) + 1 / ou_samples


def kl_weight(anneal: tuple[int, int] | None, step: int) -> float:
    """w(t) of linear KL annealing (a, b): 0 for a steps, then up to 1 over b steps; 1 without annealing."""
    if anneal is None:
        return 1.0
    start, ramp = anneal
    return min(max((step - start) / ramp, 0.0), 1.0)


@dataclass(frozen=True)
class TrainSpec:
    """The training run: Adam for a fixed number of steps (the paper states neither optimiser, rate nor batch).

    precision: of all numbers; tf32 and bf16 are float32 whose products in training are rounded (see `precision`).
    mixture: discretised logistics in the likelihood of a pixel of 256 levels; 1 where pixels are bits.
    """

    steps: int = 100_000
    batch_size: int = 100
    lr: float = 1e-3
    precision: Precision = "float32"
    mixture: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        require_whole("mixture", self.mixture, 1, 100)
        require_whole("steps", self.steps, 1, 10**9, "between 1 and 10^9")
        require_whole("batch-size", self.batch_size, 1, 10**6, "between 1 and 10^6")
        require(is_finite(self.lr) and self.lr > 0, "lr", self.lr, "finite and above 0")
        require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        object.__setattr__(self, "lr", number(self.lr))


@dataclass(frozen=True)
class Member:
    """One model of a pack: its objective and the seed of all its randomness."""

    objective: ObjectiveSpec = field(default_factory=ObjectiveSpec)
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole("seed", self.seed, 0, MAX_SEED, "between 0 and 2^63 - 1")
