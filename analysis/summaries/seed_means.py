"""The numbers of a table's row: a configuration's complete cells, over seeds.

    mean over seeds  +-  standard deviation over seeds (n - 1)          nats per image
    L_k besides: its standard error over images, the mean of those of the seeds. All seeds are measured on the same
    images, so that these errors are nearly one and the same: more seeds do not make it smaller.

Another number of images is another choice of images: no mean is taken over both.

Active units are medians over seeds, one number per stochastic layer, from the top one down: `38-40-40-40`. So is the
share of each layer's variation that the image explains, in percent: `22-50-94-100`.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames.bits import BITS, with_bounds_in_bits
from analysis.frames.configurations import Configuration
from analysis.frames.curves import CURVE
from analysis.frames.gather import layers_at_floor
from sweeps.grid.declared import of_kind

METRICS = ("kl_total", "kl_top", "elbo", BITS)
_TEXT = (*of_kind("text"), "method", "seeds", "au", "au_path", "share", "devices")
_COUNTS = (*of_kind("whole"), "n_seeds", "at_floor", "parameters")


@dataclass(frozen=True)
class Mean:
    """A mean over n seeds; sd over seeds is NaN for one, se (standard error over images) where none is recorded."""

    mean: float
    sd: float
    se: float
    n: int


@dataclass(frozen=True)
class TableRow:
    """What is known of one configuration. Numbers are in nats per image, by the metric's name; None: there is no mean.

    at_floor: for each seed, the stochastic layers whose KL lies at the free-bits floor.
    parameters: weights of the model, None where not recorded.
    examples: by the name of each bound (ll_100 ...), the numbers of test images that it was taken on, ascending.
    """

    configuration: Configuration
    seeds: tuple[int, ...]
    numbers: dict[str, Mean | None]
    au: str
    au_path: str
    share: str
    at_floor: tuple[tuple[int, ...], ...]
    parameters: int | None
    examples: dict[str, tuple[int, ...]]

    @property
    def depth(self) -> int:
        """Number of stochastic layers."""
        return self.configuration.curve.model.depth

    @classmethod
    def of(cls, one: Configuration) -> TableRow:
        """Measure a configuration that has complete cells."""
        complete, names = one.curve.complete.astype(object), list(map(str, one.curve.complete))
        cells = [dict(zip(names, values, strict=True)) for values in complete.itertuples(index=False, name=None)]
        cells.sort(key=lambda cell: int(cell["seed"]))
        examples = {name: _examples(cells, name) for name in _bounds(cells)}
        cells = [with_bounds_in_bits(cell, list(examples)) for cell in cells]
        bounds = {
            name: _mean(cells, name, f"{name}_se") if len(counts) < 2 else None for name, counts in examples.items()
        }
        bits = {f"{name}_{BITS}": _mean(cells, f"{name}_{BITS}") for name, value in bounds.items() if value}
        layers = range(one.curve.model.depth, 0, -1)
        return cls(
            one,
            tuple(int(cell["seed"]) for cell in cells),
            {name: _mean(cells, name) for name in METRICS} | bounds | bits,
            au="-".join(_median(cells, f"au_{i}") for i in layers),
            au_path="-".join(_median(cells, f"au_path_{i}") for i in layers),
            share="-".join(_percent(cells, f"share_{i}") for i in layers),
            at_floor=tuple(tuple(layers_at_floor(cell)) for cell in cells),
            parameters=next((int(n) for cell in cells if pd.notna(n := cell.get("parameters", pd.NA))), None),
            examples=examples,
        )

    @property
    def record(self) -> dict[str, Any]:
        """Its row of the csv (see `columns`); missing numbers are None."""
        one = self.configuration
        row: dict[str, Any] = {**one.curve.declared, "method": str(one.rows["method"].iloc[0]), "rho": one.rho}
        row |= {"seeds": " ".join(map(str, self.seeds)), "n_seeds": len(self.seeds)}
        for name, value in self.numbers.items():
            for statistic in ("mean", "sd", "se", "n"):
                row[f"{name}_{statistic}"] = getattr(value, statistic, None)
        row |= {f"{name}_examples": " ".join(map(str, counts)) for name, counts in self.examples.items()}
        row |= {"au": self.au, "au_path": self.au_path, "share": self.share}
        row |= {
            "kl_weight": one.curve.kl_weight,
            "at_floor": max(map(len, self.at_floor)),
            "parameters": self.parameters,
            "devices": "; ".join(one.curve.devices),
        }
        return {name: row.get(name) for name in columns(list(self.examples))}


def columns(bounds: Sequence[str]) -> list[str]:
    """Columns of the csv where these bounds (ll_100 ...) were measured."""
    return [
        *(*CURVE, "method", "rho", "seeds", "n_seeds"),
        *(f"{name}_{statistic}" for name in ("kl_total", "kl_top") for statistic in ("mean", "sd")),
        *("au", "au_path", "share", "elbo_mean", "elbo_sd", f"{BITS}_mean", f"{BITS}_sd"),
        *(f"{name}_{statistic}" for name in bounds for statistic in ("mean", "sd", "se", "n", "examples")),
        *(f"{name}_{BITS}_{statistic}" for name in bounds for statistic in ("mean", "sd")),
        *("kl_weight", "at_floor", "parameters", "devices"),
    ]


def measured(rows: Sequence[TableRow]) -> list[str]:
    """Name the bounds (ll_100 ...) that any row has, in ascending k."""
    there = {name for row in rows for name, counts in row.examples.items() if counts or row.numbers[name]}
    return sorted(there, key=_samples)


def tidy(rows: Sequence[TableRow]) -> pd.DataFrame:
    """Return one row per configuration, with the columns of every bound that any of them has."""
    names = columns(measured(rows))
    return pd.DataFrame([row.record for row in rows], columns=names).astype({name: _type(name) for name in names})


def _type(name: str) -> str:
    if name in _TEXT or name.endswith("_examples"):
        return "string"
    return "Int64" if name in _COUNTS or name.endswith("_n") else "float64"


def _bounds(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in cells[0] if re.fullmatch(r"ll_\d+", name)]


def _samples(name: str) -> int:
    return int(name.removeprefix("ll_"))


def _examples(cells: Sequence[Mapping[str, Any]], name: str) -> tuple[int, ...]:
    """Numbers of test images of a bound; that of L_100 is `ll_examples` unless it was taken again later."""
    counts: list[Any] = []
    for cell in cells:
        if pd.notna(cell[name]):
            count = cell.get(f"{name}_examples", pd.NA)
            counts.append(cell.get("ll_examples", pd.NA) if pd.isna(count) and name == "ll_100" else count)
    return tuple(sorted({int(count) for count in counts if pd.notna(count)}))


def _known(cells: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(cell[name]) for cell in cells if name in cell and pd.notna(cell[name])]


def _mean(cells: Sequence[Mapping[str, Any]], name: str, error: str = "") -> Mean | None:
    values, errors = _known(cells, name), _known(cells, error)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    sd = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else math.nan
    return Mean(mean, sd, math.fsum(errors) / len(errors) if errors else math.nan, len(values))


def _percent(cells: Sequence[Mapping[str, Any]], name: str) -> str:
    values = _known(cells, name)
    return f"{100 * statistics.median(values):.0f}" if values else "?"


def _median(cells: Sequence[Mapping[str, Any]], name: str) -> str:
    values = _known(cells, name)
    return f"{statistics.median(values):g}" if values else "?"
