"""Train some cells of a pack as one stacked model, measure them, and record each."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from hvae_core.data import Dataset
from hvae_core.training.follower import Follower
from hvae_core.training.trainer import PackTrainer, TrainedPack, train_pack
from sweeps.grid.cell import Cell
from sweeps.ledger.claims import Claim
from sweeps.ledger.ledger import Ledger, Pack
from sweeps.ledger.ownership import Ownership
from sweeps.ledger.pack_progress import Pace
from sweeps.ledger.provenance import provenance
from sweeps.planning.pack_options import PackOptions, device_name
from sweeps.running.measure import bounds, measure, member_weights

CHECKPOINT_SECONDS = 30.0
PACE_SECONDS = 30.0  # the pace is taken over: shorter, and the ETA jumps


@dataclass(frozen=True)
class PackRun:
    """One attempt at a pack: how it is run, what holds it, whether to stop, and who is told of trouble."""

    options: PackOptions
    ledger: Ledger
    pack: Pack
    claim: Claim
    owner: Ownership
    stop: Callable[[], bool]
    note: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """The pack's folder, with claim, progress and checkpoints."""
        return self.ledger.pack_path(self.pack.id)

    def open_cells(self) -> list[str]:
        """Cells of the pack that have no record yet."""
        return [cell for cell in self.pack.cells if self.ledger.state(cell) == "pending"]


class PartFollower(Follower):
    """Writes the histories and the progress of a part while it trains, and stops it where the run says so."""

    def __init__(self, run: PackRun, cells: Sequence[Cell], pending: Sequence[int]) -> None:
        self.run, self.cells, self.pending = run, cells, pending
        self._looks: deque[tuple[float, int]] = deque()  # time and step, over the last PACE_SECONDS

    def evaluated(self, trainer: PackTrainer) -> None:
        """Write the history of every cell without a record."""
        for i in self.pending:
            self.run.ledger.write_history(self.cells[i].id, trainer.history[i])

    def progressed(self, trainer: PackTrainer) -> None:
        """Write step and rate where `status` finds them; raises TakenOverError, before a checkpoint is written."""
        self.run.owner.check()
        now, rate = time.monotonic(), 0.0
        self._looks.append((now, trainer.step))
        while len(self._looks) > 2 and now - self._looks[0][0] > PACE_SECONDS:
            self._looks.popleft()
        then, step = self._looks[0]
        if now > then:
            rate = (trainer.step - step) / (now - then)
        Pace(trainer.step, trainer.train.steps, len(self.cells), rate, trainer.resumed_at).write(self.run.folder)

    def should_stop(self) -> bool:
        """Whether the run was asked to, or its claim was lost."""
        return self.run.stop() or not self.run.claim.mine()

    def note(self, line: str) -> None:
        """Pass a line on."""
        self.run.note(line)


def train_part(run: PackRun, cells: Sequence[Cell], data: Dataset, checkpoints: Path) -> None:
    """Train these cells as one stacked model and record those that are pending; raises Interrupted."""
    began, started, options, first = time.monotonic(), _now(), run.options, cells[0]
    pending = [i for i, cell in enumerate(cells) if run.ledger.state(cell.id) == "pending"]
    trained = train_pack(
        first.model,
        [cell.member for cell in cells],
        first.train,
        data,
        device=options.device,
        eval_every=options.eval_every,
        checkpoints=checkpoints,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        follower=PartFollower(run, cells, pending),
    )
    results = measure(trained, cells, data, options.device)
    measured = time.monotonic()
    for result, bound in zip(results, bounds(trained, cells, data, options.ll_examples, options.device), strict=True):
        result |= bound
    ended = time.monotonic()
    run.owner.check()
    trained.model.to("cpu")
    facts = {
        "pack": {"id": run.pack.id, "cells": list(run.pack.cells), "trained_with": [cell.id for cell in cells]},
        "device": device_name(options.device),
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "data": {"checksum": data.checksum, "reference": data.reference},
        "options": dict(options.resources),
        "start": started,
        "pack_seconds": {"training": trained.seconds, "bound": ended - measured, "whole": ended - began},
        "resumed_at_step": trained.resumed_at,
    }
    for i in pending:
        _record(run, cells[i], i, trained, results[i], facts)


def _record(
    run: PackRun, cell: Cell, member: int, trained: TrainedPack, result: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Record a trained cell as complete, or as diverged where its loss or a final metric is not finite."""
    step = trained.diverged[member]
    if step is not None or not all(math.isfinite(value) for value in result.values() if isinstance(value, float)):
        run.ledger.write_history(cell.id, trained.history[member])
        where = f"the loss was not finite at step {step}" if step else "the final metrics are not finite"
        run.ledger.fail(cell.id, "diverged", [f"{cell.model.name} rho {cell.member.objective.rho:g}: {where}"], step)
        return
    attempts = run.ledger.attempts(cell.id) + 1
    known = provenance(config=cell.config, **facts, attempts=attempts, end=_now())
    weights = member_weights(trained.model, member) if run.options.keep == "weights" else None
    run.ledger.complete(cell, result, known, trained.history[member], weights)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
