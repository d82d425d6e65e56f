"""Runs of Weights & Biases, offline."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.ledger.ledger import Record
from sweeps.loggers.base import PROJECT, ending_of, facts_of, is_settled, points_of, published

OF_A_RUN = (
    *("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_RESUME", "WANDB_RUN_GROUP", "WANDB_NAME", "WANDB_NOTES"),
    *("WANDB_TAGS", "WANDB_JOB_TYPE", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_DIR", "WANDB_DIR", "WANDB_PROJECT"),
    *("WANDB_MODE", "WANDB_DISABLED", "WANDB_LAUNCH", "WANDB_LAUNCH_CONFIG_PATH"),
)


class WandB:
    """Weights & Biases runs, always offline: whether to upload, with `wandb sync <folder>`, is the user's decision."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # its service would report its errors home, offline or not
        for name in OF_A_RUN:
            os.environ.pop(name, None)  # of a run or sweep around this one: all of our runs would become that one
        hooks = sys.exit, sys.excepthook
        try:
            self._wandb = importlib.import_module("wandb")
            private = {"x_disable_machine_info": True, "x_save_requirements": False}
            self._wandb.setup(self._wandb.Settings(mode="offline", silent=True, console="off", **private))
        finally:
            sys.exit, sys.excepthook = hooks  # it replaces both, only to learn the exit status

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError, or whatever wandb raises, as when its service has died."""
        cell, final = record.cell, self._folder / f"offline-run-{record.cell.id}"
        if is_settled(final, record):
            return
        name = {"project": PROJECT, "id": cell.id, "name": cell.title, "tags": [record.state]}
        with published(final, record) as folder:
            # create_new leaves a run alone that this process may have open for itself.
            place = {"dir": str(folder.parent), "mode": "offline", "reinit": "create_new"}
            run = self._wandb.init(**name, **place, config=facts_of(record))
            try:
                for step, values in points_of(record, history).items():
                    run.log(values, step=step)
                run.summary.update(ending_of(record))
            finally:
                run.finish(exit_code=int(record.state != "complete"))
            for part in Path(run.dir).parent.iterdir():
                if part.name not in ("logs", "tmp"):  # its own, with links out of the results directory
                    part.rename(folder / part.name)

    def close(self) -> None:
        """End the service process of wandb; raises RuntimeError if it ended badly."""
        try:
            self._wandb.teardown()
        except SystemExit as error:  # no reason to end the sweep
            raise RuntimeError(f"the service process of wandb ended with status {error.code}") from error
