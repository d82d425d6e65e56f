"""Synthetic results directories, written through the ledger that real sweeps write through."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis.critical.linear import top_kl
from analysis.frames.gather import gather
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec, retained_variance
from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Ledger

GRID = (0.0, 0.5, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1.0)


def sigmoid_kl(cell: Cell, critical: float = 0.94, width: float = 0.01, plateau: float = 20.0) -> float:
    """Top KL in nats that falls smoothly through half of the plateau; every seed has its own shift."""
    shift = 0.003 * ((cell.member.seed % 5) - 2)
    return float(plateau / (1 + np.exp((cell.member.objective.rho - critical - shift) / width)))


def result_of(cell: Cell, kl_top: float) -> dict[str, Any]:
    """Everything that a finished cell records, with a given top KL."""
    depth, width = cell.model.depth, cell.model.units[-1]
    kl = {f"kl_{i}": 5.0 + i for i in range(1, depth)} | {f"kl_{depth}": kl_top}
    active = min(width, round(width * kl_top / 20))
    elbo = -100.0 - 8.0 * (1 - cell.member.objective.rho) - 0.2 * kl_top
    total = float(sum(kl.values()))
    units = {f"{name}_{i}": active for name in ("au", "au_path") for i in range(1, depth + 1)}
    bound = {"ll_100": elbo + 3, "ll_100_se": 0.5, "ll_100_ess": 12.5, "ll_examples": 500}
    facts = {"seconds": 1.25, "pack_size": 4, "device": "cpu"}
    return {
        **{"elbo": elbo, "recon": elbo + total, "kl_total": total, "kl_top": kl_top, "au_top": active},
        **kl,
        **units,
        **bound,
        **facts,
    }


def write_results(
    root: Path,
    *,
    datasets: Sequence[str] = ("mnist:embedded",),
    models: Sequence[str] = ("mlp2x4h8",),
    rhos: Sequence[float] = GRID,
    seeds: Sequence[int] = (0,),
    objective: dict[str, Any] | None = None,
    train: TrainSpec | None = None,
    binarise: str = "static",
    top_kl: Callable[[Cell], float] = sigmoid_kl,
    state: Callable[[Cell], str] = lambda cell: "complete",
    change: Callable[[Cell, dict[str, Any]], dict[str, Any]] = lambda cell, result: result,
    history: Callable[[Cell], list[dict[str, float]]] = lambda cell: [],
) -> list[Cell]:
    """Write one directory that holds a whole grid; `state` and `change` say what became of each cell."""
    cells = []
    for dataset, model, seed, rho in itertools.product(datasets, models, seeds, rhos):
        name, _, source = dataset.rpartition(":")
        member = Member(ObjectiveSpec(**{"rho": rho, **(objective or {})}), seed)
        checksum = hashlib.sha256(f"{dataset} {binarise}".encode()).hexdigest()
        cells.append(Cell(name, source, checksum, binarise, parse_model(model), member, train or TrainSpec(3000)))
    ledger = Ledger(root)
    root.mkdir(parents=True, exist_ok=True)
    ledger.add_request({"packs": [], "settings": {}, "request": {"data": []}}, cells)
    for cell in cells:
        match state(cell):
            case "complete":
                ledger.complete(cell, change(cell, result_of(cell, top_kl(cell))), {}, history(cell))
            case "failed" | "diverged" as kind:
                ledger.fail(cell.id, "error" if kind == "failed" else kind, ["it went wrong"])
    return cells


@pytest.fixture
def make_results() -> Callable[..., list[Cell]]:
    return write_results


@pytest.fixture
def make_frame(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Write and gather in one go."""

    def make(**options: Any) -> pd.DataFrame:
        write_results(tmp_path / "results", **options)
        return gather([tmp_path / "results"]).frame

    return make


@pytest.fixture
def kinked_kl() -> Callable[[Cell], float]:
    """Top KL in nats of the solved linear model: forty modes, rho_c = 0.94 and a shift of each seed."""

    def kl(cell: Cell) -> float:
        K, shift = cell.member.objective.ou_samples, 0.001 * ((cell.member.seed % 5) - 2)
        ratio = retained_variance(0.94 + shift, K)
        return float(top_kl(np.array([cell.member.objective.rho]), [ratio] * 40, K)[0])

    return kl


@pytest.fixture(autouse=True)
def _no_figure_of_pyplot() -> Iterator[None]:
    """Figures are never pyplot's; whatever a test opened there is closed."""
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert not left
