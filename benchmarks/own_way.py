"""What a user would write to find a critical rho without this package: Ray Tune, an eager process for every model.

    python -m benchmarks.own_way --out FILE [--rho 0:1:0.02] [--seeds 3] [--models N]

Every trial trains one model of `plain_loop.py` from a DataLoader and measures the unsmoothed top KL on the test images.
--models trains only so many, spread over the grid, for timing. FILE gets one JSON object: the rows, and the seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import tune
from torch.distributions import Normal, kl_divergence

from benchmarks.plain_loop import PlainHVAE, normal, steps
from hvae_core.data import load_dataset
from hvae_core.families.mlp import MLP
from hvae_core.families.registry import parse_model
from sweeps.options.values import floats


def top_kl(model: PlainHVAE, images: torch.Tensor) -> float:
    """Mean KL(q(z_L | z_{L-1}) || N(0, I)) in nats, along one sampled path for each image (N, P)."""
    with torch.no_grad():
        z = images
        for net in model.posteriors:
            q = normal(net, z)
            z = q.sample()
        standard = Normal(torch.zeros_like(q.loc), torch.ones_like(q.scale))
        return float(kl_divergence(q, standard).sum(-1).mean())


def train(config: dict[str, Any]) -> None:
    """Train one model and report its top KL."""
    torch.set_num_threads(1)
    torch.manual_seed(config["seed"])
    data = load_dataset("mnist")
    family = parse_model(config["model"])
    assert isinstance(family, MLP)
    model = PlainHVAE(family, data.image, config["rho"], 5)
    images = torch.from_numpy(data.train).flatten(1).float()
    for step, _ in enumerate(steps(model, images, config["batch_size"], "cpu", config["lr"]), start=1):
        if step == config["steps"]:
            break
    tune.report({"top_kl": top_kl(model, torch.from_numpy(data.test).flatten(1).float())})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mlp4x16h64")
    parser.add_argument("--rho", default="0:1:0.02")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--models", type=int)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    grid = [(rho, seed) for seed in range(given.seeds) for rho in floats("rho", [given.rho])]
    chosen = grid if given.models is None else [grid[i] for i in _spread(len(grid), given.models)]
    began = time.monotonic()
    ray.init(include_dashboard=False, log_to_driver=False)
    started = time.monotonic()
    shared = {"model": given.model, "steps": given.steps, "batch_size": given.batch_size, "lr": given.lr}
    space = tune.grid_search([{**shared, "rho": rho, "seed": seed} for rho, seed in chosen])
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(lambda config: train(config["cell"]), {"cpu": 1}),
            param_space={"cell": space},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        found = tuner.fit()
    ended = time.monotonic()
    rows = [{**result.config["cell"], "top_kl": result.metrics["top_kl"]} for result in found if result.config]
    facts = {"models": len(chosen), "of": len(grid), "start": started - began, "training": ended - started}
    given.out.write_text(json.dumps({**facts, "rows": rows}))


def _spread(count: int, wanted: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, count - 1, wanted).round())]


if __name__ == "__main__":
    main()
