"""What looking at a large results directory takes: 50,000 cells, seconds and peak memory of each command.

    python -m benchmarks.many_cells [--cells 50000]

The cells are planned by `hvae-sweep rho --plan-only`; their results are made up (a sigmoid of rho), not trained.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import fingerprint, write_bytes, write_json
from sweeps.ledger.ledger import Ledger

SEEDS = 100
GATHER = "import sys, pathlib; from analysis.frames.gather import gather; gather([pathlib.Path(sys.argv[1])])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=50_000)
    given = parser.parse_args()
    rhos = given.cells // SEEDS
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        request = ["rho", "--model", "mlp3x8h16", "--datasets", "mnist", "--rho", f"{1 / rhos}:1:{1 / rhos}"]
        request += ["--seeds", str(SEEDS), "--steps", "100", "--ll-examples", "0", "--out", str(out)]
        print("| command | seconds | peak, MiB |")
        print("|---|---|---|")
        timed("plan", "hvae-sweep", *request, "--plan-only")
        ledger = Ledger(out)
        began = time.monotonic()
        for record in ledger.records():
            make_up(ledger, record.cell)
        print(f"| (making results up) | {time.monotonic() - began:.1f} | |", flush=True)
        timed("dry run", "hvae-sweep", *request, "--dry-run")
        timed("status", "hvae-sweep", "status", str(out))
        timed("gather", sys.executable, "-c", GATHER, str(out))
        timed("phase-transition", "hvae-plot", "phase-transition", str(out), "--format", "png")
        timed("critical", "hvae-plot", "critical", str(out))
        timed("report", "hvae-plot", "report", str(out), "--no-samples")


def make_up(ledger: Ledger, cell: Cell) -> None:
    """Write the result that a trained cell of this rho and seed could have; nothing is flushed to disk."""
    depth, width = cell.model.depth, cell.model.units[-1]
    kl = 5 / (1 + math.exp((cell.member.objective.rho - 0.94 - 0.001 * (cell.member.seed % 5)) / 0.01))
    kls = {f"kl_{i}": 5.0 for i in range(1, depth)} | {f"kl_{depth}": kl}
    total = sum(kls.values())
    units = {f"{name}_{i}": round(width * kl / 5) for name in ("au", "au_path") for i in range(1, depth + 1)}
    shares = {f"share_{i}": 0.5 for i in range(1, depth + 1)} | {"share_top": 0.5}
    result: dict[str, Any] = {"elbo": -100.0, "recon": total - 100, "kl_total": total, "kl_top": kl, **kls, **units}
    result |= {**shares, "au_top": units[f"au_{depth}"], "seconds": 1.0, "pack_size": 11, "device": "cpu"}
    history = b""
    path = ledger.cell_path(cell.id)
    write_bytes(path / "history.csv", history, durable=False)
    files = {"history.csv": fingerprint(history)}
    write_json(path / "provenance.json", {"end": "2026-01-01T00:00:00+00:00"}, durable=False)
    write_json(
        path / "result.json",
        {"schema": SCHEMA, "cell_id": cell.id, **result, "ll_examples": 0, "files": files},
        durable=False,
    )


def timed(name: str, program: str, *words: str) -> None:
    """Run a command and print its wall time and the most memory that its process had."""
    found = program if os.sep in program else str(Path(sys.executable).with_name(program))
    began = time.monotonic()
    process = subprocess.Popen([found, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status:
        raise SystemExit(f"{json.dumps([program, *words])} ended with status {os.waitstatus_to_exitcode(status)}")
    print(f"| {name} | {seconds:.1f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)


if __name__ == "__main__":
    main()
