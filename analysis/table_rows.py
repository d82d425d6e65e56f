"""The numbers of a table's row: a configuration's complete cells, over seeds.

    mean over seeds  +-  standard deviation over seeds (n - 1)          nats per image
    one seed: the estimate's own standard error over images, where it has one

Active units are medians over seeds, one number per stochastic layer, from the top one down: `38-40-40-40`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.configurations import Configuration
from analysis.curves import CURVE
from analysis.gather import layers_at_floor
from hvae_core.spec import ModelSpec

BOUNDS = (100, 5000)
METRICS = ("kl_total", "kl_top", "elbo")
COLUMNS = (
    *(*CURVE, "method", "rho", "seeds", "n_seeds"),
    *(f"{name}_{statistic}" for name in ("kl_total", "kl_top") for statistic in ("mean", "sd")),
    *("au", "au_path", "elbo_mean", "elbo_sd"),
    *(f"ll_{k}_{statistic}" for k in BOUNDS for statistic in ("mean", "sd", "se", "n")),
    *("ll_examples", "kl_weight", "at_floor", "devices"),
)
_TEXT = (
    *("dataset", "source", "checksum", "binarise", "model", "smoothing", "kl_anneal", "precision"),
    *("method", "seeds", "au", "au_path", "ll_examples", "devices"),
)


@dataclass(frozen=True)
class Mean:
    """A mean over n seeds; sd over seeds is NaN for one, se (mean standard error over images) where there is none."""

    mean: float
    sd: float
    se: float
    n: int


@dataclass(frozen=True)
class TableRow:
    """What is known of one configuration. Numbers are in nats per image, by the metric's name; None: not measured.

    at_floor: for each seed, the stochastic layers whose KL lies at the free-bits floor.
    examples: numbers of test images that L_100 was taken on.
    """

    configuration: Configuration
    seeds: tuple[int, ...]
    numbers: dict[str, Mean | None]
    au: str
    au_path: str
    at_floor: tuple[tuple[int, ...], ...]
    examples: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of stochastic layers."""
        return ModelSpec.parse(self.configuration["model"]).depth

    @classmethod
    def of(cls, one: Configuration) -> TableRow:
        """Measure a configuration that has complete cells."""
        cells = one.curve.complete.sort_values("seed")
        bounds = {f"ll_{k}": _mean(cells, f"ll_{k}", f"ll_{k}_se") for k in BOUNDS}
        measured = cells[cells["ll_100"].notna()] if "ll_100" in cells else cells.iloc[:0]
        layers = range(ModelSpec.parse(one["model"]).depth, 0, -1)
        return cls(
            one,
            tuple(map(int, cells["seed"])),
            {name: _mean(cells, name) for name in METRICS} | bounds,
            au="-".join(_median(cells, f"au_{i}") for i in layers),
            au_path="-".join(_median(cells, f"au_path_{i}") for i in layers),
            at_floor=tuple(tuple(layers_at_floor(cell)) for _, cell in cells.iterrows()),
            examples=tuple(sorted({int(n) for n in _known(measured, "ll_examples")})),
        )

    @property
    def record(self) -> dict[str, Any]:
        """Its row of the csv (COLUMNS); missing numbers are None."""
        one = self.configuration
        row: dict[str, Any] = {**one.curve.declared, "method": str(one.rows["method"].iloc[0]), "rho": one.rho}
        row |= {"seeds": " ".join(map(str, self.seeds)), "n_seeds": len(self.seeds)}
        for name, value in self.numbers.items():
            for statistic in ("mean", "sd", "se", "n"):
                row[f"{name}_{statistic}"] = getattr(value, statistic, None)
        row |= {"au": self.au, "au_path": self.au_path, "ll_examples": " ".join(map(str, self.examples))}
        row |= {
            "kl_weight": one.curve.kl_weight,
            "at_floor": max(map(len, self.at_floor)),
            "devices": "; ".join(one.curve.devices),
        }
        return {name: row[name] for name in COLUMNS}


def tidy(rows: Sequence[TableRow]) -> pd.DataFrame:
    """Return one row (COLUMNS) per configuration."""
    table = pd.DataFrame([row.record for row in rows], columns=list(COLUMNS))
    counts = ("ou_samples", "iwae_k", "steps", "batch_size", "n_seeds", "at_floor", *(f"ll_{k}_n" for k in BOUNDS))
    types = {name: "Int64" if name in counts else "string" if name in _TEXT else "float64" for name in COLUMNS}
    return table.astype(types)


def _known(cells: pd.DataFrame, name: str) -> list[float]:
    return [float(value) for value in cells[name].dropna()] if name in cells else []


def _mean(cells: pd.DataFrame, name: str, error: str = "") -> Mean | None:
    values, errors = _known(cells, name), _known(cells, error)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    sd = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else math.nan
    return Mean(mean, sd, math.fsum(errors) / len(errors) if errors else math.nan, len(values))


def _median(cells: pd.DataFrame, name: str) -> str:
    values = _known(cells, name)
    return f"{pd.Series(values).median():g}" if values else "?"
