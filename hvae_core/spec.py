"""What is trained, as frozen values: the model, the objective, the training run, a member of a pack.

Everything here is checked when it is built, so that nothing downstream has to. Numbers are rounded to twelve
significant digits before they are used or hashed: 0.1 + 0.2 and 0.3 are one model.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Smoothing: TypeAlias = Literal["mean_std", "ratio"]
Precision: TypeAlias = Literal["float32", "float64", "tf32"]

SMOOTHINGS: tuple[Smoothing, ...] = ("mean_std", "ratio")
PRECISIONS: tuple[Precision, ...] = ("float32", "float64", "tf32")
MAX_PARAMETERS = 10**9
MAX_SEED = 2**63 - 1
GRAMMAR = "mlp<depth>x<width>[h<hidden>] such as mlp4x40, or mlp<w1>-<w2>-... such as mlp64-32-16-8"

_N = r"([1-9]\d{0,8})"
_UNIFORM = re.compile(rf"mlp{_N}x{_N}(?:h{_N})?")
_TAPERED = re.compile(r"mlp([1-9]\d{0,8}(?:-[1-9]\d{0,8})+)")


class SpecError(ValueError):
    """A setting outside its range; the message is one line: the setting, its value, what is allowed."""


def number(value: float) -> float:
    """Round to 12 significant digits, the precision at which two settings count as the same."""
    return float(f"{float(value):.12g}")


def _require(ok: bool, name: str, value: object, allowed: str) -> None:
    if not ok:
        raise SpecError(f"{name}: {value!r} is not allowed; it must be {allowed}")


def _require_whole(name: str, value: object, low: int, high: int, allowed: str = "") -> None:
    inside = type(value) is int and low <= value <= high
    _require(inside, name, value, f"a whole number {allowed or f'between {low} and {high}'}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


@dataclass(frozen=True)
class ModelSpec:
    """Architecture of one hierarchical VAE.

    latents[i] is the width of stochastic layer i + 1 (layer 1 is next to the data); hidden[i] is the width of the
    two tanh layers in the network between layer i and layer i + 1, the same upwards and downwards.

    The paper gives two layers of 200 for uniform models, and 512-256-128-64 for latents 64-32-16-8: eight times
    the latent width, which is what the tapered form of the grammar always takes. That a hidden width belongs to
    the gap below its latent layer, in both directions, is our reading.
    """

    latents: tuple[int, ...]
    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        _require(len(self.latents) >= 1, "latents", self.latents, "at least one stochastic layer")
        _require(len(self.hidden) == len(self.latents), "hidden", self.hidden, "one width per stochastic layer")
        for width in self.latents + self.hidden:
            _require_whole("width", width, 1, MAX_PARAMETERS)
        uniform = len(set(self.latents)) == len(set(self.hidden)) == 1
        tapered = self.hidden == tuple(8 * width for width in self.latents)
        _require(uniform or tapered, "hidden", self.hidden, "of one width, or eight times the latents")
        parameters = self.parameters(1)
        _require(parameters <= MAX_PARAMETERS, "model", self.name, "of at most 10^9 parameters")

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read the model grammar; raises SpecError with the grammar where the text does not fit it."""
        uniform, tapered = _UNIFORM.fullmatch(text), _TAPERED.fullmatch(text)
        if uniform:
            depth, width, hidden = (int(group) if group else 200 for group in uniform.groups())
            if depth * width > MAX_PARAMETERS:
                raise SpecError(f"model: {text!r} is not allowed; it must be of at most 10^9 parameters")
            return cls((width,) * depth, (hidden,) * depth)
        if tapered:
            latents = tuple(int(width) for width in tapered.group(1).split("-"))
            return cls(latents, tuple(8 * width for width in latents))
        known = "conv and resnet models are not in this version; " if re.match(r"(conv|resnet)\d", text) else ""
        raise SpecError(f"model: {text!r} is not a model; {known}it must be {GRAMMAR}")

    @property
    def name(self) -> str:
        """Canonical text of the grammar: what the default says is left out."""
        width, hidden = self.latents[0], self.hidden[0]
        if set(self.latents) == {width} and set(self.hidden) == {hidden}:
            return f"mlp{self.depth}x{width}" + ("" if hidden == 200 else f"h{hidden}")
        return "mlp" + "-".join(map(str, self.latents))

    @property
    def family(self) -> str:
        """The kind of network."""
        return "mlp"

    @property
    def depth(self) -> int:
        """Number L of stochastic layers."""
        return len(self.latents)

    @property
    def width(self) -> int:
        """Units of the widest stochastic layer."""
        return max(self.latents)

    def parameters(self, pixels: int) -> int:
        """Count the weights of one member for images of that many pixels."""

        def network(inputs: int, hidden: int, outputs: int) -> int:
            return (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * outputs

        below = (pixels, *self.latents[:-1])
        upwards = sum(network(b, h, 2 * z) for b, h, z in zip(below, self.hidden, self.latents, strict=True))
        downwards = sum(
            network(z, h, 2 * b) for b, h, z in zip(self.latents, self.hidden[1:], self.latents[1:], strict=False)
        )
        return upwards + downwards + network(self.latents[0], self.hidden[0], pixels)


@dataclass(frozen=True)
class ObjectiveSpec:
    """What training maximises.

    rho, ou_samples, smoothing: U_rho with K correlated samples (rho = 1 is the plain VAE).
    beta_top: weight of the top layer's KL.
    kl_anneal: (a, b) weights all KL by 0 for a steps and then linearly up to 1 over b further steps; None: always 1.
    free_bits: floor in nats under each stochastic layer's minibatch-mean KL; None: no floor.
    iwae_k: importance samples of the objective; 1 is the ELBO.
    """

    rho: float = 1.0
    ou_samples: int = 5
    smoothing: Smoothing = "mean_std"
    beta_top: float = 1.0
    kl_anneal: tuple[int, int] | None = None
    free_bits: float | None = None
    iwae_k: int = 1

    def __post_init__(self) -> None:
        _require(_is_finite(self.rho) and 0 <= self.rho <= 1, "rho", self.rho, "in [0, 1]")
        _require_whole("ou-samples", self.ou_samples, 1, 10_000)
        _require(self.smoothing in SMOOTHINGS, "smoothing", self.smoothing, " or ".join(SMOOTHINGS))
        finite = _is_finite(self.beta_top) and self.beta_top >= 0
        _require(finite, "beta-top", self.beta_top, "finite and at least 0")
        if self.kl_anneal is not None:
            start, ramp = self.kl_anneal
            whole = type(start) is type(ramp) is int and 0 <= start <= 10**9 and 1 <= ramp <= 10**9
            allowed = "start:ramp in whole steps, start from 0 and ramp from 1 to 10^9"
            _require(whole, "kl-anneal", self.kl_anneal, allowed)
        if self.free_bits is not None:
            positive = _is_finite(self.free_bits) and self.free_bits > 0
            _require(positive, "free-bits", self.free_bits, "finite and above 0")
        _require_whole("iwae-k", self.iwae_k, 1, 10_000)
        if self.iwae_k > 1:
            plain = self.beta_top == 1 and self.kl_anneal is None and self.free_bits is None
            _require(plain, "iwae-k", self.iwae_k, "1 where beta-top, kl-anneal or free-bits is set")
        for name in ("rho", "beta_top", "free_bits"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, number(value))

    @property
    def method(self) -> str:
        """Short name of the training method, as in the column `method`: vae, hvae, hvae-ratio, hvae+kl-anneal, ..."""
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
        if self.rho == 1:
            return "+".join(extras) or "vae"
        base = "hvae" if self.smoothing == "mean_std" else "hvae-ratio"
        return "+".join([base, *extras])

    @property
    def label(self) -> str:
        """rho, and whatever else is not the plain ELBO's."""
        parts = [f"rho {self.rho:g}"]
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
        return " ".join(parts)

    @property
    def kind(self) -> tuple[object, ...]:
        """What members of one pack must have in common; rho, beta_top and the free-bits floor may differ."""
        return (self.ou_samples, self.smoothing, self.kl_anneal, self.iwae_k)


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

    precision: of all numbers; tf32 is float32 whose matrix products in training a GPU may round to 10 bits.
    """

    steps: int = 100_000
    batch_size: int = 100
    lr: float = 1e-3
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _require_whole("steps", self.steps, 1, 10**9, "between 1 and 10^9")
        _require_whole("batch-size", self.batch_size, 1, 10**6, "between 1 and 10^6")
        _require(_is_finite(self.lr) and self.lr > 0, "lr", self.lr, "finite and above 0")
        _require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        object.__setattr__(self, "lr", number(self.lr))


def check_precision(precision: Precision, device: str) -> None:
    """Raise SpecError for a precision that a device such as cpu or cuda:0 does not have."""
    if precision == "tf32" and not device.startswith("cuda"):
        raise SpecError("precision: 'tf32' is not allowed here; it needs a GPU")


@dataclass(frozen=True)
class Member:
    """One model of a pack: its objective and the seed of all its randomness."""

    objective: ObjectiveSpec = field(default_factory=ObjectiveSpec)
    seed: int = 0

    def __post_init__(self) -> None:
        _require_whole("seed", self.seed, 0, MAX_SEED, "between 0 and 2^63 - 1")
