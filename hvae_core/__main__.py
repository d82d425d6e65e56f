"""Train one pack without Ray, with torch and numpy alone: `python -m hvae_core --help`.

python -m hvae_core --model mlp4x40 --dataset mnist --rho 0.5 0.9 1 --steps 1000 --out pack.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch

from hvae_core.checks import SpecError
from hvae_core.data import BINARISE, DataError, load_dataset
from hvae_core.evaluation.blocks import choose_examples
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.precision import check_precision
from hvae_core.spec import PRECISIONS, SMOOTHINGS, Member, ObjectiveSpec, TrainSpec
from hvae_core.training.follower import Follower
from hvae_core.training.trainer import PackTrainer, train_pack


class Printed(Follower):
    """Prints how far training is, twice a minute, and what was wrong with a checkpoint."""

    def __init__(self) -> None:
        self.printed = time.monotonic()

    def progressed(self, trainer: PackTrainer) -> None:
        """Print the step and the rate."""
        if time.monotonic() - self.printed > 30:
            self.printed = time.monotonic()
            rate = trainer.step * len(trainer.members) / max(trainer.seconds, 1e-9)
            self.note(f"step {trainer.step}/{trainer.train.steps}, {rate:,.0f} model-steps/s")

    def note(self, line: str) -> None:
        """Print a line of diagnostics."""
        print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Train every rho of every seed as one stacked model and write their unsmoothed test metrics as JSON."""
    parser = argparse.ArgumentParser(prog="python -m hvae_core", description=main.__doc__)
    parser.add_argument("--model", default="mlp4x40")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--binarise", choices=BINARISE, default="static")
    parser.add_argument("--rho", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--ou-samples", type=int, default=5)
    parser.add_argument("--smoothing", choices=SMOOTHINGS, default="mean_std")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--eval-every", type=int, default=0)
    parser.add_argument("--ll-examples", type=int, default=500)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoints", type=Path, help="a folder to continue from")
    parser.add_argument("--out", type=Path, help="a file; without it, standard output")
    given = parser.parse_args()
    try:
        spec = parse_model(given.model)
        members = [
            Member(ObjectiveSpec(rho, given.ou_samples, given.smoothing), seed)
            for seed in given.seeds
            for rho in given.rho
        ]
        run = TrainSpec(given.steps, given.batch_size, given.lr, given.precision)
        check_precision(given.precision, given.device)
        _check_device(given.device)
        _check_places(given.out, given.checkpoints)
        data = load_dataset(given.dataset, binarise=given.binarise, data_dir=given.data_dir)
    except (SpecError, DataError) as error:
        parser.exit(2, f"error: {error}\n")
    torch.set_num_threads(1)
    try:
        trained = train_pack(
            spec,
            members,
            run,
            data,
            device=given.device,
            eval_every=given.eval_every,
            checkpoints=given.checkpoints,
            follower=Printed(),
        )
    except (SpecError, OSError) as error:  # a checkpoint of another kind of device; a full disk
        parser.exit(1, f"error: {error}\n")
    test = torch.from_numpy(data.test).to(given.device)
    metrics = evaluate(trained.model, test, [m.seed for m in members], "test")
    rows = [
        {"rho": m.objective.rho, "seed": m.seed, **metrics.row(i), "diverged": trained.diverged[i]}
        for i, m in enumerate(members)
    ]
    if given.ll_examples > 0:
        chosen = torch.from_numpy(choose_examples(len(test), given.ll_examples)).to(given.device)
        bound = importance_bound(trained.model, test[chosen], 100, [m.seed for m in members])
        for i, row in enumerate(rows):
            row |= {"ll_100": float(bound.value[i]), "ll_100_se": float(bound.standard_error[i])}
    text = json.dumps(
        {
            "model": spec.name,
            "data": {"reference": data.reference, "binarise": data.binarise, "checksum": data.checksum},
            "train": vars(run),
            "torch": torch.__version__,
            "device": str(given.device),
            "seconds": trained.seconds,
            "members": rows,
            "history": trained.history,
        },
        indent=1,
    )
    try:
        if given.out:
            given.out.write_text(text + "\n")
            return 0
    except OSError as error:
        print(f"error: out: {error}; here it is instead", file=sys.stderr)
    print(text)
    return 1 if given.out else 0


def _check_device(device: str) -> None:
    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either: an unknown name, no such GPU, no driver
        raise SpecError(f"device: {device!r} is not allowed; it must be one that torch has here") from error


def _check_places(out: Path | None, checkpoints: Path | None) -> None:
    if out is not None and (out.is_dir() or not os.access(out if out.exists() else out.absolute().parent, os.W_OK)):
        raise SpecError(f"out: {str(out)!r} is not allowed; it must be a file in a folder that can be written")
    if checkpoints is not None and checkpoints.exists() and not checkpoints.is_dir():
        raise SpecError(f"checkpoints: {str(checkpoints)!r} is not allowed; it must be a folder")


if __name__ == "__main__":
    sys.exit(main())
