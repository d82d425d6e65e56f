"""What running a sweep costs beside training: per trial, with Ray's worker processes kept or not, and per checkpoint.

python benchmarks/orchestration.py [--trials 8]

Trials train tiny models for a moment, one at a time; what is left of the wall time after training is the cost of a
trial (scheduling, loading, data, evaluation, records). Ray's own start is apart. A second table gives the time of one
checkpoint and the share that it can take. Timings on a shared machine: compare within one run only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest import mock

import ray
import torch

from hvae_core.data import load_dataset
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.checkpoint import save_checkpoint
from hvae_core.training.trainer import CHECKPOINT_SHARE, PackTrainer
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import plan_sweep, request_entry
from sweeps.planning.resources import Resources
from sweeps.running import ray_tune
from sweeps.running.part import CHECKPOINT_SECONDS

SHAPES = (("mlp4x16h64", 64, 11), ("mlp4x40", 100, 11), ("mlp4x40", 100, 64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, ray {ray.__version__}")
    print("worker processes   trials   Ray start, s   wall, s   training, s   beyond training, s per trial")
    for keep in (True, False):
        start, wall, training = sweep(given.trials, keep)
        beyond = (wall - training) / given.trials
        name = "kept" if keep else "a fresh one each"
        print(f"{name:<19}{given.trials:>6}{start:>15.1f}{wall:>10.1f}{training:>14.2f}{beyond:>31.2f}")
    print("\nmodel, batch         members   checkpoint, MB   one save, s   share of the training time at most")
    for model, batch, members in SHAPES:
        seconds, size = checkpoint(model, batch, members)
        interval = max(CHECKPOINT_SECONDS, seconds / CHECKPOINT_SHARE)
        share = seconds / (interval + seconds)
        print(f"{model + ', ' + str(batch):<21}{members:>7}{size / 1e6:>17.1f}{seconds:>14.2f}{share:>37.2%}")


def sweep(trials: int, keep: bool) -> tuple[float, float, float]:
    """Run that many trials one at a time; returns the seconds of Ray's start, of the whole run and of training."""
    data = load_dataset("mnist")
    spec = SweepSpec(
        (parse_model("mlp2x4h16"),), (DataSource.of("mnist", data),), (ObjectiveSpec(),), tuple(range(trials)),
        trains=(TrainSpec(steps=200, batch_size=16),),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        plan = plan_sweep(ledger, spec)
        packs = plan.packs(ledger, 1)
        ledger.add_request(request_entry(spec, packs, {}), plan.cells)
        job = PackOptions(folder, references=((data.name, data.checksum, data.reference),), ll_examples=50)
        began = time.perf_counter()
        config = ray.tune.TuneConfig
        kept_or_not = mock.patch("ray.tune.TuneConfig", lambda **given: config(**{**given, "reuse_actors": keep}))
        with ray_tune.engine("local", ledger.root / "runs" / "one", print) as stop, kept_or_not:
            ready = time.perf_counter()
            cpus = int(ray.cluster_resources()["CPU"])
            ray_tune.run_packs(job, packs, Resources(cpus, 0, 1), ledger.root / "runs" / "one", stop, 0, False)
            ended = time.perf_counter()
        results = [record.result or {} for record in ledger.records()]
        return ready - began, ended - ready, sum(result["seconds"] for result in results)


def checkpoint(model: str, batch: int, members: int) -> tuple[float, int]:
    """Seconds of one checkpoint of a pack, the least of three, and its bytes."""
    data = load_dataset("mnist")
    rhos = [Member(ObjectiveSpec(i / members)) for i in range(members)]
    trainer = PackTrainer(parse_model(model), rhos, TrainSpec(10, batch), data, torch.device("cpu"))
    trainer.advance()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for step in range(3):
            began = time.perf_counter()
            save_checkpoint(Path(folder), step, trainer.state())
            seconds.append(time.perf_counter() - began)
        size = (Path(folder) / "checkpoint-2" / "state.pt").stat().st_size
    return min(seconds), size


if __name__ == "__main__":
    main()
