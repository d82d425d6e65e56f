"""Train a pack: M members of one shape, one stacked model, one loop.

Each step draws one minibatch and one flat block of noise per distinct seed, takes the smoothed objective of every
member and one Adam step. Minibatches are drawn with replacement. A member whose loss stops being finite is noted
with its step; members share no number, so the others never see it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.evaluation.evaluate import Metrics, evaluate
from hvae_core.families.base import Family
from hvae_core.precision import check_precision, products
from hvae_core.spec import Member, Precision, TrainSpec
from hvae_core.streams import SeedStreams
from hvae_core.systems.base import Noise, System
from hvae_core.systems.build import build
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.training.checkpoint import load_checkpoint, save_checkpoint
from hvae_core.training.cuda_graph import CapturedStep
from hvae_core.training.follower import Follower
from hvae_core.training.minibatches import Minibatches
from hvae_core.training.objective import Objective

LOOK_SECONDS = 1.0  # between looks at the clock, the follower and the checkpoints
CHECKPOINT_SHARE = 0.02  # of the time, at most, goes into checkpoints, however slow the disk

DTYPES: dict[Precision, torch.dtype] = {
    **{"float32": torch.float32, "tf32": torch.float32, "bf16": torch.float32},
    "float64": torch.float64,
}

HistoryRow = dict[str, float | int]


class Interrupted(Exception):
    """Training was asked to stop; the pack's checkpoint holds everything up to that step."""


@dataclass
class TrainedPack:
    """A pack at the end of its training.

    history: per member, one row per evaluation on the validation images, oldest first.
    diverged: per member, the first step (from 1) with a non-finite loss, or None.
    seconds: wall time of the training steps alone, of all M members together, over all interruptions.
    resumed_at: the step of the checkpoint from which this process went on, 0 if it began.
    """

    model: System
    history: list[list[HistoryRow]]
    diverged: list[int | None]
    seconds: float
    resumed_at: int


class PackTrainer:
    """The state of one pack in training: weights, optimiser, streams, step.

    On a GPU the step is replayed as a CUDA graph where `captured`. Raises SpecError for a precision that the device
    does not have.
    """

    def __init__(
        self,
        family: Family,
        members: Sequence[Member],
        train: TrainSpec,
        data: Dataset,
        device: torch.device,
        captured: bool = True,
    ) -> None:
        on_gpu = device.type == "cuda"
        check_precision(train.precision, device.type)
        self.family, self.members, self.train, self.data, self.device = family, members, train, data, device
        self.step, self.seconds, self.resumed_at = 0, 0.0, 0
        self.history: list[list[HistoryRow]] = [[] for _ in members]
        self.seeds = [member.seed for member in members]
        objectives = [member.objective for member in members]
        self.dtype = DTYPES[train.precision]
        self.objective = Objective(objectives, self.dtype, device)
        self.ou_samples = objectives[0].ou_samples
        rho = torch.tensor([o.rho for o in objectives], dtype=self.dtype, device=device)
        # At rho = 1 the K copies are z itself: where all members are unsmoothed, one evaluation says the same.
        smoothed = any(o.rho < 1 for o in objectives)
        self.smoothing = OrnsteinUhlenbeck(rho, objectives[0].smoothing) if smoothed else None
        self.passes = train.batch_size * self.objective.iwae_k  # posterior samples per step and member
        mean, std = map(torch.from_numpy, (data.pixel_mean, data.pixel_std))
        how = (train.mixture, objectives[0].system, objectives[0].pseudo_inputs)
        self.model = build(family, data.image, self.seeds, self.dtype, mean, std, *how)
        self.model.start(torch.from_numpy(data.train), 1 if data.binarise == "static" else 255, self.seeds)
        self.model.to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=train.lr, fused=True, capturable=on_gpu)
        self.minibatches = Minibatches(data, self.seeds, self.dtype, device)
        self.noise = SeedStreams(self.seeds, "noise", device=device)
        self.clock = torch.zeros((), dtype=torch.int64, device=device)  # `step`, where the device can read it
        self.diverged = torch.zeros(len(members), dtype=torch.int64, device=device)  # 0: has not
        generators = [generator for streams in self._streams() for generator in streams.generators]
        self._replay = CapturedStep(generators, device) if on_gpu and captured else None

    @property
    def identity(self) -> str:
        """What is trained, in words: only a checkpoint of the same may be continued."""
        parts = (
            self.family.content,
            *map(repr, (tuple(self.members), self.train, self.data.checksum, self.data.binarise)),
            *self._named_later(),
        )
        return f"({', '.join(parts)})"

    def _named_later(self) -> list[str]:
        """Name settings that are in no repr, so that older checkpoints are known, where they are not the default."""
        objective = self.members[0].objective
        system = [] if objective.system == "hvae" else [f"system {objective.system} {objective.pseudo_inputs}"]
        return system + ([f"mixture {self.train.mixture}"] if self.train.mixture > 1 else [])

    def draw_noise(self) -> Noise:
        """Draw one step's noise, one flat block per distinct seed."""
        flat = self.noise.normal(self.model.noise_size(self.passes, self.ou_samples), dtype=self.dtype)
        return self.model.split_noise(flat, self.passes, self.ou_samples)

    def advance(self) -> Tensor:
        """Take one optimiser step; returns each member's loss (M,) in nats per example, until the next step."""
        self.step += 1
        return self._step() if self._replay is None else self._replay(self._step)

    def _step(self) -> Tensor:
        """One step as the device sees it: nothing here may read what Python changes from step to step, or wait."""
        x = self.minibatches.draw(self.train.batch_size)
        self.optimiser.zero_grad(set_to_none=True)
        with products(self.train.precision, self.device.type):
            terms = self.model(x, self.draw_noise(), self.smoothing)
            loss = self.objective.loss(terms, self.clock)
            loss.sum().backward()  # the sum keeps every member's gradient its own
        self.optimiser.step()
        self.clock += 1
        failed = ~loss.detach().isfinite() & (self.diverged == 0)
        self.diverged.copy_(torch.where(failed, self.clock, self.diverged))
        return loss.detach()

    def measure(self, images: Tensor) -> Metrics:
        """Evaluate the unsmoothed model on validation images and add a row to every member's history."""
        metrics = evaluate(self.model, images, self.seeds, "valid")
        for member, rows in enumerate(self.history):
            rows.append({"step": self.step, **metrics.row(member)})
        return metrics

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as tensors and plain values."""
        return {
            "of": self.identity,
            "device": self.device.type,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "diverged": self.diverged,
            "streams": [s.state() for s in self._streams()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken; to be called before the first step."""
        self.clock.fill_(state["step"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.diverged.copy_(state["diverged"])
        for streams, saved in zip(self._streams(), state["streams"], strict=True):
            streams.restore(saved)

    def _streams(self) -> list[SeedStreams]:
        return [self.minibatches.choice, self.minibatches.pixels, self.noise]


def train_pack(
    family: Family,
    members: Sequence[Member],
    train: TrainSpec,
    data: Dataset,
    *,
    device: torch.device | str = "cpu",
    eval_every: int = 0,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 60.0,
    follower: Follower | None = None,
) -> TrainedPack:
    """Train all members for train.steps steps and return them.

    Every eval_every steps (0: at the end only) the unsmoothed model is measured on the validation images. With a
    checkpoint directory, training continues from its newest checkpoint, bit for bit on a CPU; one is written every
    checkpoint_seconds, or less often where writing is slow, and when the follower asks to stop, which raises
    Interrupted.
    """
    follower = follower or Follower()
    trainer = PackTrainer(family, members, train, data, torch.device(device))
    saving = _Saving(trainer, checkpoints, checkpoint_seconds)
    saving.resume(follower)
    trainer.resumed_at = trainer.step
    valid = torch.from_numpy(data.valid).to(trainer.device)
    counted = time.monotonic()  # until when the time of steps is in trainer.seconds
    while trainer.step < train.steps:
        trainer.advance()
        finished = trainer.step == train.steps
        evaluating = finished or (eval_every > 0 and trainer.step % eval_every == 0)
        if not evaluating and time.monotonic() - counted <= LOOK_SECONDS:
            continue
        _synchronise(trainer.device)
        trainer.seconds += time.monotonic() - counted
        if evaluating:
            trainer.measure(valid)
            follower.evaluated(trainer)
        follower.progressed(trainer)
        stopping = not finished and follower.should_stop()
        if finished or stopping or saving.due:
            saving.save()
        if stopping:
            raise Interrupted(f"stopped after step {trainer.step} of {train.steps}")
        counted = time.monotonic()
    diverged = [step or None for step in trainer.diverged.tolist()]
    trainer.optimiser.zero_grad(set_to_none=True)  # the model is all that is left of training
    return TrainedPack(trainer.model, trainer.history, diverged, trainer.seconds, trainer.resumed_at)


class _Saving:
    """When a trainer's checkpoints are due, and where they lie; None: there are none."""

    def __init__(self, trainer: PackTrainer, directory: Path | None, seconds: float) -> None:
        self.trainer, self.directory, self.seconds = trainer, directory, seconds
        self._next = time.monotonic() + seconds

    @property
    def due(self) -> bool:
        return time.monotonic() > self._next

    def save(self) -> None:
        """Write a checkpoint; the next is due after its seconds, or later where writing took long."""
        began = time.monotonic()
        if self.directory is not None:
            save_checkpoint(self.directory, self.trainer.step, self.trainer.state())
        now = time.monotonic()
        self._next = now + max(self.seconds, (now - began) / CHECKPOINT_SHARE)

    def resume(self, follower: Follower) -> None:
        """Continue from the newest checkpoint; raises SpecError if it is of a device that draws other numbers."""
        if self.directory is None:
            return
        saved = load_checkpoint(self.directory, self.trainer.identity, follower.note)
        if saved is None:
            return
        here = self.trainer.device.type
        begun = saved.get("device", here)
        if begun != here:
            raise SpecError(
                f"device: {here!r} is not allowed here; {self.directory} holds checkpoints of {begun!r}: continue it "
                "there, or remove them to begin anew"
            )
        self.trainer.restore(saved)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
