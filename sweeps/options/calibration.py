"""The request of `hvae-sweep calibrate`: linear models whose critical rho is known, on fair coins.

Trained, recorded and gathered like every other model; `hvae-plot calibration` holds them against the closed form.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hvae_core.spec import ObjectiveSpec
from sweeps.ledger.atomic_files import write_bytes

MODELS = ("linear0.6", "linear0.8", "linear0.85-0.8-0.75-0.7-0.65-0.6-0.55-0.5")
SAMPLES = (5, 10)  # K
BETAS = (1.0, 0.9)
PACK = 150  # small models: few trials
COINS = 8
FILE = "coins.npz"
CHECKSUM = "e8193b2bbaa2da59dd273b938e616d17942aef561b075fe144e2b339ceb9cbe3"  # of the data set that `coins` writes


def objectives(rhos: Sequence[float]) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives of every K and beta along the rho axis."""
    grid = itertools.product(SAMPLES, BETAS, rhos)
    return tuple(ObjectiveSpec(rho=rho, ou_samples=K, beta_top=beta) for K, beta, rho in grid)


def coins(directory: Path) -> Path:
    """Write the data, unless they are there: every outcome of eight fair coins, as images of 1 x 8 pixels.

    All outcomes equally often: means, variances and covariances are those of fair coins exactly.
    """
    path = directory / FILE
    if not path.exists():
        every = np.array(list(itertools.product((0, 1), repeat=COINS)), dtype=np.uint8).reshape(-1, 1, COINS)
        content = io.BytesIO()
        np.savez(content, train=np.tile(every, (8, 1, 1)), valid=every, test=np.tile(every, (2, 1, 1)))
        directory.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue())
    return path
