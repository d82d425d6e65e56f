"""Experiment loggers, off unless asked for: every cell that has ended becomes one run, written from the ledger.

They are called where a sweep is driven, never in the training loop, by one process at a time. A run is written once:
one that was cut off is written anew, and that of a failed cell gives way when the cell was trained again.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from hvae_core.checks import SpecError
from sweeps.loggers.base import Logger
from sweeps.loggers.mlflow import MLflow
from sweeps.loggers.tensorboard import TensorBoard
from sweeps.loggers.wandb import WandB

_OPEN: dict[str, Callable[[Path], Logger]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}
LOGGERS = tuple(_OPEN)


def check_loggers(names: Sequence[str]) -> None:
    """Raise SpecError for a name that is no logger's, or whose package is not installed."""
    for name in names:
        if name not in LOGGERS:
            raise SpecError(f"log: {name!r} is not allowed; it must be {', '.join(LOGGERS[:-1])} or {LOGGERS[-1]}")
        package = "tensorboardX" if name == "tensorboard" else name
        if importlib.util.find_spec(package) is None:
            raise SpecError(f"log: {name!r} needs the package {package}: pip install 'hvae-sweep[{name}]'")


def open_loggers(names: Sequence[str], root: Path) -> list[Logger]:
    """Open loggers by name; files go below <root>/logs/<name>. Raises SpecError, one line, if one cannot be had."""
    check_loggers(names)
    with ExitStack() as opened:
        loggers: list[Logger] = []
        for name in dict.fromkeys(names):
            try:
                logger = _OPEN[name](root.absolute() / "logs" / name)
            except Exception as error:  # whatever a package raises: the user hears of it before anything is trained
                line = next(iter(str(error).strip().splitlines()), "")[:200]
                raise SpecError(f"log: {name!r} cannot be opened: {type(error).__name__}: {line}") from error
            opened.callback(logger.close)
            loggers.append(logger)
        opened.pop_all()
    return loggers
