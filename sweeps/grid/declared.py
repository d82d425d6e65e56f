"""Every setting that makes a cell, declared once.

A cell's configuration and id, its row in results.csv, what its pack must share, the options of the command line, and
the words of a legend derive from this table, in this order. The values themselves live in `hvae_core.spec`, which
also says what they may be.

A setting that is added later has `always_hashed=False`: it enters configuration and id only where it is not its
default, so that no id changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from hvae_core.checks import SpecError
from hvae_core.data import BINARISE
from hvae_core.spec import PRECISIONS, SMOOTHINGS, SYSTEMS, ObjectiveSpec, TrainSpec

Part = Literal["data", "model", "objective", "member", "train"]
Kind = Literal["text", "whole", "real"]


class _Required:
    """The default of a setting that every cell states."""


REQUIRED = _Required()


@dataclass(frozen=True)
class Setting:
    """One setting of a cell.

    name: its key in config.json, its column, and with hyphens its option.
    part: what holds it: the data set, the model, the objective, the member (its seed) or the training run.
    kind: what its column holds.
    default: its value where nobody says otherwise.
    varies_in_pack: whether models that train together may differ in it.
    label: its value in the words of a legend; None where a legend does not name it.
    legend: whether a legend names it always, where it is not the default (or differs), or only where it differs.
    help, choices: what --help says of its option, and the values it takes, if they are few.
    """

    name: str
    part: Part
    kind: Kind
    default: Any = REQUIRED
    varies_in_pack: bool = False
    label: Callable[[Any], str] | None = None
    legend: Literal["always", "unusual", "differing"] = "unusual"
    help: str = ""
    choices: tuple[str, ...] = ()
    always_hashed: bool = True

    def is_hashed(self, value: Any) -> bool:
        """Whether a cell with this value has the setting in its configuration and id."""
        return self.always_hashed or value != self.default

    def from_config(self, config: Mapping[str, Any]) -> Any:
        """Read its value from a config.json; raises KeyError where a setting that is always there is missing."""
        value = config[self.name] if self.always_hashed else config.get(self.name, self.default)
        if self.kind == "text" and self.default is not None and not isinstance(value, str):
            raise SpecError(f"{self.name}: {value!r} is not allowed; it must be text")
        return tuple(value) if isinstance(value, list) else value


def _default(spec: type[ObjectiveSpec] | type[TrainSpec], name: str) -> Any:
    return next(field.default for field in fields(spec) if field.name == name)


def _objective(name: str, kind: Kind, **more: Any) -> Setting:
    return Setting(name, "objective", kind, _default(ObjectiveSpec, name), **more)


def _train(name: str, kind: Kind, **more: Any) -> Setting:
    return Setting(name, "train", kind, _default(TrainSpec, name), **more)


SYSTEM_WORDS = {
    "hvae": "serial hierarchy",
    "lvae": "ladder VAE",
    "lvae+skip": "ladder VAE with skips",
    "biva": "BIVA",
    "vampprior": "VampPrior",
}


def binarised(value: str) -> str:
    """Say in words what was done to pixels."""
    return "256 levels" if value == "none" else f"{value} binarisation"


def annealed(value: str | None) -> str:
    """Say in words between which steps the weight of the KL rises from 0 to 1, from A:B."""
    if value is None:
        return "no KL annealing"
    held, rise = map(int, value.split(":"))
    first, last = (f"{step // 1000}k" if step and step % 1000 == 0 else f"{step:,}" for step in (held, held + rise))
    return f"KL annealing (steps {first}–{last})"


SETTINGS: tuple[Setting, ...] = (
    Setting("dataset", "data", "text"),
    Setting("source", "data", "text"),
    Setting("checksum", "data", "text"),
    Setting(
        "binarise",
        "data",
        "text",
        "static",
        label=binarised,
        help="static: one fixed Bernoulli draw of grey images; dynamic: a new draw each time; none: 256 levels.",
        choices=BINARISE,
    ),
    Setting("model", "model", "text"),
    Setting("model_code", "model", "text", None, label=lambda value: value or "our code", always_hashed=False),
    Setting("latents", "model", "text", None, always_hashed=False),
    _objective("rho", "real", varies_in_pack=True),
    _objective(
        "ou_samples",
        "whole",
        label=lambda value: f"K = {value}",
        legend="always",
        help="K, the number of correlated samples over which each smoothed function is averaged.",
    ),
    _objective(
        "smoothing",
        "text",
        label=lambda value: f"smoothing {value}",
        help="What is smoothed: mu and sigma (mean_std), or mu / sigma (ratio).",
        choices=SMOOTHINGS,
    ),
    _objective(
        "beta_top",
        "real",
        varies_in_pack=True,
        label=lambda value: "matched β_top, unsmoothed" if value is None else f"β_top = {value:g}",
        help="Weight of the top layer's KL; matched trains unsmoothed models with weight c(rho, K).",
    ),
    _objective(
        "kl_anneal",
        "text",
        label=annealed,
        help="KL annealing: weight 0 for A steps, then up to 1 over B steps; also in percent, 1%:50%.",
    ),
    _objective(
        "free_bits",
        "real",
        varies_in_pack=True,
        label=lambda value: "no free bits" if value is None else f"free bits {value:g} nat{'s' * (value != 1)}",
        help="Free bits: minimum KL of each layer, in nats.",
    ),
    _objective(
        "iwae_k",
        "whole",
        label=lambda value: f"IWAE k = {value}",
        help="Importance samples in the objective; 1 is the ELBO.",
    ),
    _objective(
        "system",
        "text",
        label=lambda value: SYSTEM_WORDS[value],
        help="How inference and generation are ordered.",
        choices=SYSTEMS,
        always_hashed=False,
    ),
    _objective(
        "pseudo_inputs",
        "whole",
        label=lambda value: f"{value} pseudo-inputs",
        help="Components of the prior of the system vampprior.",
        always_hashed=False,
    ),
    Setting("seed", "member", "whole", varies_in_pack=True),
    _train(
        "steps",
        "whole",
        label=lambda value: f"{value:,} steps",
        legend="always",
        help="Training steps.",
    ),
    _train(
        "batch_size",
        "whole",
        label=lambda value: f"batch {value}",
        legend="differing",
        help="Minibatch size.",
    ),
    _train("lr", "real", label=lambda value: f"lr {value:g}", legend="differing", help="Adam's learning rate."),
    _train(
        "precision",
        "text",
        label=str,
        help="Floating-point precision; tf32 (on a GPU) and bf16 round the products of training, not of evaluation.",
        choices=PRECISIONS,
    ),
    _train(
        "mixture",
        "whole",
        label=lambda value: "one logistic" if value == 1 else f"{value} logistics",
        help="Logistic components of the likelihood of grey and colour pixels.",
        always_hashed=False,
    ),
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}


def names(*parts: Part) -> tuple[str, ...]:
    """Names of the settings of these parts, in the table's order."""
    return tuple(setting.name for setting in SETTINGS if setting.part in parts)


def of_kind(kind: Kind) -> tuple[str, ...]:
    """Names of the settings whose column holds text, whole numbers or real ones."""
    return tuple(setting.name for setting in SETTINGS if setting.kind == kind)
