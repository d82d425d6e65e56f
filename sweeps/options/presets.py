"""The paper's experiments as settings of our commands, and a small form of each for two CPU cores.

What the paper states is taken from it; what it does not (K, rho grids, Figure 3's grid and rho, the rho of the tables,
IWAE's k, the depth and networks of Figure 1 right, whether Figure 1 uses static MNIST, Figure 2's length, the rows of
Tables 1 and 2, how long residual models train, the likelihood of colours) is our choice. A small form (--quick) shows
the effect with embedded or given data at a few thousand steps; its numbers are not the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Settings = dict[str, Any]

QUICK_RHO = ["0", "0.5", "0.8", "0.85", "0.9", "0.93", "0.95", "0.97", "0.98", "0.99", "1"]
SMALL_TRAINING: Settings = {"seeds": ["1"], "steps": 3000, "batch_size": 64, "lr": 2e-3}
SMALL: Settings = {"model": ["mlp4x16h64"], **SMALL_TRAINING}
METHODS = ["vae", "kl-anneal", "free-bits", "iwae", "hvae", "hvae+kl-anneal"]
TABLE: Settings = {
    **{"methods": METHODS, "rho": ["0.8"], "kl_anneal": "10000:500000", "free_bits": ["0.5", "1", "2", "3"]},
    **{"iwae_k": 5, "steps": 1_000_000, "eval_every": 20_000},
}
SMALL_TABLE: Settings = {**SMALL, "steps": 6000, "kl_anneal": "1%:50%", "eval_every": 500, "ll_examples": 200}


@dataclass(frozen=True)
class Preset:
    """Settings of one command, under the names of its options; `quick` goes over them."""

    command: str
    settings: Settings
    quick: Settings = field(default_factory=dict)


COMPARED = ["vae", "hvae", "lvae", "lvae+skip", "biva", "vampprior"]  # a model of three layers has no vampprior
LIKELIHOODS: Settings = {"methods": COMPARED, "rho": ["0.8"], "steps": 1_000_000, "eval_every": 20_000}
SMALL_LIKELIHOODS: Settings = {**SMALL_TRAINING, "steps": 1500, "eval_every": 250, "ll_examples": 100}
MEMORY: Settings = {
    **{"model": ["resnet4x8x16x16b5f100", "resnet6x8x16x16b5f100"], "image": "3x32x32/256", "batch_size": 64},
    **{"methods": ["vae", "hvae", "iwae", "lvae", "biva"], "ou_samples": 5, "iwae_k": 5, "mixture": 10},
}
SMALL_MEMORY: Settings = {"model": ["resnet4x8x16x16b1f32", "resnet6x8x16x16b1f32"], "batch_size": 16}

QUICK: dict[str, Settings] = {  # what --quick means where no preset is named
    "rho": {**SMALL, "datasets": ["mnist", "glyphs"], "rho": QUICK_RHO, "eval_every": 500},
    "methods": {**SMALL_TABLE, "datasets": ["mnist"]},
    "memory": SMALL_MEMORY,
    "depth-width": {
        **{"datasets": ["mnist"], "depths": ["1:4"], "widths": ["4", "8", "16", "32"], "hidden": 64},
        **{"rho": ["1", "0.8"], **SMALL_TRAINING},
    },
}

RHO_GRID = ["0", "0.2", "0.4", "0.5", "0.6", "0.7", "0.75", "0.8", "0.85", "0.88", "0.9:1:0.01"]
"""21 values, dense where the models of Figure 1 fall: that of the paper is not stated."""

PRESETS: dict[str, Preset] = {
    "figure1-left": Preset(
        "rho",
        {"model": ["mlp4x40"], "datasets": ["mnist", "omniglot"], "rho": RHO_GRID, "steps": 100_000},
        QUICK["rho"],
    ),
    "figure1-middle": Preset(
        "rho",
        {"model": ["mlp3x200"], "datasets": ["omniglot"], "rho": RHO_GRID, "steps": 100_000},
        {**QUICK["rho"], "model": ["mlp3x32h64"], "datasets": ["glyphs"]},
    ),
    "figure1-right": Preset(
        "rho",
        {"model": ["conv3x8x7x7"], "datasets": ["mnist"], "rho": RHO_GRID, "steps": 100_000},
        {
            **{"model": ["conv3x4x7x7f16"], "null": True, "rho": ["0.5", "0.8", "0.9", "0.95", "0.98", "1"]},
            **{"steps": 750, "seeds": ["1"], "batch_size": 64, "lr": 2e-3, "eval_every": 150, "ll_examples": 100},
        },
    ),
    "figure2": Preset(
        "methods",
        {
            **{"model": ["mlp4x40"], "datasets": ["mnist"], "methods": ["vae", "hvae"], "rho": ["0.9", "0.8"]},
            **{"steps": 100_000, "eval_every": 1000},
        },
        {**SMALL, "steps": 6000, "eval_every": 200, "seeds": ["3"], "ll_examples": 200},
    ),
    "figure3": Preset(
        "depth-width",
        {
            **{"datasets": ["mnist"], "depths": ["1:5"], "widths": ["10", "20", "40", "60", "80", "100"]},
            **{"hidden": 200, "rho": ["1", "0.8"], "steps": 100_000},
        },
        QUICK["depth-width"],
    ),
    "table1": Preset(
        "methods",
        {**LIKELIHOODS, "model": ["mlp2x40", "mlp4x40", "resnet4x8x14x14b5"], "datasets": ["mnist"]},
        {**SMALL_LIKELIHOODS, "model": ["mlp2x16h64", "mlp4x16h64"], "seeds": ["3"]},
    ),
    "table2": Preset(
        "methods",
        {**LIKELIHOODS, "model": ["mlp2x40", "mlp4x40", "resnet4x8x14x14b5"], "datasets": ["omniglot"]},
        {**SMALL_LIKELIHOODS, "model": ["mlp2x16h64", "mlp4x16h64"], "seeds": ["3"], "datasets": ["glyphs"]},
    ),
    "table3": Preset(
        "methods",
        {**TABLE, "model": ["mlp4x40", "mlp64-32-16-8"], "datasets": ["mnist"], "binarise": "dynamic"},
        {**SMALL_TABLE, "model": ["mlp4x16h64", "mlp16-8-4-2"]},
    ),
    "table4": Preset("methods", {**TABLE, "model": ["mlp4x40"], "datasets": ["mnist"]}, SMALL_TABLE),
    "table5": Preset(
        "methods",
        {
            **{**LIKELIHOODS, "model": ["resnet3x8x16x16b6f100", "resnet3x8x16x16b6f100skip", "resnet6x8x16x16b6f100"]},
            **{"datasets": ["cifar10"], "mixture": 10, "batch_size": 64},
            "methods": COMPARED[:-1],
        },
        {
            "methods": ["vae", "hvae", "lvae", "biva"],
            **{**SMALL_LIKELIHOODS, "model": ["resnet2x4x16x16b1f16", "resnet2x4x16x16b1f16skip"]},
            **{"datasets": ["cifar10:partial"], "steps": 300, "batch_size": 32, "eval_every": 50, "ll_examples": 20},
        },
    ),
    "table6": Preset("memory", MEMORY, SMALL_MEMORY),
}
