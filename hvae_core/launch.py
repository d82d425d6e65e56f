"""Our commands and `load_cell`, whatever other modules go by the names `cli`, `sweeps` and `analysis`.

These top-level names are generic: a user's own `sweeps/` in the working directory or on PYTHONPATH comes before ours.
The console scripts start here, by the one name that is surely ours, and so does what a scheduler is to run:

    python -P -m hvae_core.launch sweep work results/        as hvae-sweep work results/
    from hvae_core.launch import load_cell                   a trained model back, beside modules of any name
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("cli", "sweeps", "analysis")
PROGRAMS = {"sweep": "hvae-sweep", "plot": "hvae-plot"}


def sweep() -> None:
    """Run `hvae-sweep`."""
    _run("sweep")


def plot() -> None:
    """Run `hvae-plot`."""
    _run("plot")


def load_cell(path: Path | str) -> Any:
    """Load a trained model back from `results/cells/<id>`; see `sweeps.trained.load.load_cell`.

    Raises ImportError, naming it, where a module of another's is already loaded under one of our names.
    """
    return ours("sweeps").load_cell(path)


def ours(name: str) -> ModuleType:
    """Import our module of that name; raises ImportError where another's is loaded under one of our names."""
    if any(not _is_ours(importlib.util.find_spec(each)) for each in NAMES if each not in sys.modules):
        sys.path.insert(0, str(ROOT))
        inherited = os.environ.get("PYTHONPATH")  # workers are started with it
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([inherited] if inherited else [])])
        importlib.invalidate_caches()
    for each in NAMES:
        loaded = sys.modules.get(each)
        if loaded is not None and not _is_ours(loaded.__spec__):
            place = getattr(loaded, "__file__", None) or "no file"
            raise ImportError(f"{each}: {place} is loaded under a name of hvae-sweep's; rename it, or start elsewhere")
    return importlib.import_module(name)


def _is_ours(spec: Any) -> bool:
    """Whether a module is the one beside this package; a name that nobody has found is no intruder's."""
    if spec is None or spec.origin is None:
        return spec is None
    return Path(spec.origin).resolve().is_relative_to(ROOT)


def _run(name: str) -> None:
    try:
        command = getattr(ours("cli"), name)
    except ImportError as error:
        if not str(error).startswith(NAMES):
            raise
        sys.exit(f"error: {error}")
    command(prog_name=PROGRAMS[name])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS:
        sys.exit(f"error: {' or '.join(PROGRAMS)} is to follow")
    _run(sys.argv.pop(1))
