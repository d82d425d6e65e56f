"""Numbers that other papers are quoted for in public code, with their conditions: for orientation, not comparison.

Values are text, as they were quoted. Nothing here was measured by this project or read in the papers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

CAVEAT = (
    "Other papers, as quoted in public code: architectures, training, data preparation and evaluation differ, "
    "so these numbers are for orientation and not comparable with the rows above."
)


@dataclass(frozen=True)
class Quoted:
    """One model of another paper on one data set.

    binarise is None where the quotation does not say which; `values` holds, by what tells them apart, numbers in nats
    per image, or bits per dimension where `bound` says so, of that kind.
    """

    dataset: str
    binarise: str | None
    source: str
    model: str
    bound: str
    values: tuple[tuple[str, str], ...]

    @property
    def conditions(self) -> str:
        """What kind of number it is, and under what conditions."""
        apart = " / ".join(name for name, _ in self.values if name)
        binarised = "" if self.binarise else "binarisation not stated"
        return ", ".join(filter(None, [self.bound, apart, binarised]))

    @property
    def value(self) -> str:
        """The numbers as quoted, in the order of the conditions."""
        return " / ".join(value for _, value in self.values)


def context_rows(dataset: str, binarise: str, source: str = "") -> list[Quoted]:
    """Return what is quoted for a data set and binarisation, and where the binarisation is not stated.

    A part of a data set is another one.
    """
    if source == "partial":
        return []
    return [row for row in QUOTED if row.dataset == dataset and row.binarise in (binarise, None)]


def _by_k(source: str, model: str, *values: str) -> Quoted:
    named = tuple(zip(("k = 1", "k = 5", "k = 50"), values, strict=True))
    return Quoted("mnist", "dynamic", source, model, "test NLL with 5000 samples", named)


_BURDA = "Burda et al. 2016, quoted by a public re-implementation"
_AGAIN = "own run of that re-implementation"
_LADDER = "Ladder VAE, quoted in public code"
_CONV = "conv ladder VAE, quoted in public code"
_TWO = "two-level MLP HVAE, quoted in public code"
_UNSTATED = "kind of bound not stated"
_CONV_README = "conv ladder VAE, README of addtt/ladder-vae-pytorch"
_FLOW = "IAF, README of openai/iaf"
_DEEP = "VDVAE, README of openai/vdvae"
_VAMP = "VampPrior, pythae model card"


def _bits(source: str, model: str, *values: tuple[str, str]) -> Quoted:
    return Quoted("cifar10", "none", source, model, "bits/dim", values)


def _ladder_bits(layers: int, elbo: str, bound: str) -> Quoted:
    model = f"{layers} layers, skips, free bits, 10 logistics, 4 seeds"
    return _bits(_CONV_README, model, ("ELBO", elbo), ("100 samples", bound))


QUOTED = (
    _by_k(_BURDA, "1-layer VAE", "86.76", "86.47", "86.35"),
    _by_k(_BURDA, "1-layer IWAE", "86.76", "85.54", "84.78"),
    _by_k(_BURDA, "2-layer VAE", "85.33", "85.01", "84.78"),
    _by_k(_BURDA, "2-layer IWAE", "85.33", "83.89", "82.90"),
    _by_k(_AGAIN, "1-layer VAE", "86.35", "86.10", "86.06"),
    _by_k(_AGAIN, "1-layer IWAE", "86.35", "85.18", "84.59"),
    _by_k(_AGAIN, "2-layer VAE", "84.83", "84.08", "83.89"),
    _by_k(_AGAIN, "2-layer IWAE", "84.83", "83.48", "82.82"),
    Quoted("mnist", "dynamic", _LADDER, "layers not stated", _UNSTATED, (("", "-81.74"),)),
    Quoted("omniglot", None, _LADDER, "layers not stated", _UNSTATED, (("", "-102.1"),)),
    Quoted(
        "mnist",
        "static",
        _CONV,
        "3 layers, free bits, skips",
        "",
        (("ELBO", "-82.14"), ("1000 samples", "-79.24")),
    ),
    Quoted("mnist", "static", _CONV_README, "6 layers, free bits, skips", "", (("ELBO", "-80.74"),)),
    Quoted("mnist", "static", _CONV_README, "12 layers, free bits, skips", "", (("ELBO", "-80.50"),)),
    Quoted("mnist", None, _VAMP, "own run", "test NLL with 5000 samples", (("", "85.79"),)),
    Quoted("mnist", None, _VAMP, "the paper, as quoted there", "test NLL with 5000 samples", (("", "85.57"),)),
    _ladder_bits(3, "3.59", "3.56"),
    _ladder_bits(6, "3.44", "3.41"),
    _ladder_bits(15, "3.35", "3.32"),
    _bits(_FLOW, "ResNet with inverse autoregressive flow", ("ELBO", "3.15"), ("10000 samples", "3.111")),
    _bits(_DEEP, "39 M parameters", ("ELBO", "2.87")),
    Quoted("mnist", "dynamic", _TWO, "40/40, gated 300, Gaussian prior", _UNSTATED, (("", "-82.39 ± 0.11"),)),
    Quoted("omniglot", None, _TWO, "40/40, gated 300, Gaussian prior", _UNSTATED, (("", "-104.92 ± 0.08"),)),
)
