"""From nothing to a critical rho within +-.01 (90 %): adaptive, on a uniform grid, and as a user would write it.

    python -m benchmarks.time_to_answer [--own 12] [--steps 4000]

One run, one machine: wall time of the whole command, from Python's start to the last file, and core-hours held (wall
time by cores). All train mlp4x16h64 on mnist. `adaptive` is `hvae-sweep rho --refine 0.02`; `uniform` is the grid of
step .02 with three seeds, which the simulations of `critical.py` find to give such an interval in half of the cases;
`own` is `own_way.py` on the same grid, of which it trains --own models, spread over it: their time is scaled to all, as
is that of `uniform` where it trains fewer --seeds (which are packs of their own).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeps.planning.resources import usable_cpus

MODEL, UNIFORM, SEEDS = "mlp4x16h64", "0:1:0.02", 3
ROW = "| {} | {} | {:.0f} | {:.3f} | {} | {} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--own", type=int, default=12, help="models that own_way.py trains")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the uniform grid, that are trained")
    parser.add_argument("--steps", type=int, default=4000)
    given = parser.parse_args()
    cores = usable_cpus()
    print(f"{MODEL}, mnist, {given.steps} steps, batch 64, lr 0.002; {cores} cores")
    print("| way | models | wall, s | core-hours held | rho_c, 90 % interval | times adaptive |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        trained = ["--model", MODEL, "--datasets", "mnist", "--steps", str(given.steps), "--batch-size", "64"]
        trained += ["--lr", "2e-3", "--ll-examples", "0"]
        out = Path(folder) / "adaptive"
        adaptive = timed([_program("hvae-sweep"), "rho", *trained, "--refine", "0.02", "--out", str(out)])
        models, said = answer(out)
        print(ROW.format("adaptive", models, adaptive, adaptive * cores / 3600, said, "1.0"), flush=True)
        out, grid = Path(folder) / "uniform", ["--rho", UNIFORM, "--seeds", str(given.seeds)]
        wall = timed([_program("hvae-sweep"), "rho", *trained, *grid, "--out", str(out)])
        (models, said), share = answer(out), SEEDS / given.seeds
        name = "uniform" if share == 1 else f"uniform, {given.seeds} of {SEEDS} seeds timed"
        whole = wall * share
        print(ROW.format(name, round(models * share), whole, whole * cores / 3600, said, f"{whole / adaptive:.1f}"))
        file = Path(folder) / "own.json"
        own = [sys.executable, "-m", "benchmarks.own_way", "--rho", UNIFORM, "--seeds", str(SEEDS), "--out", str(file)]
        wall = timed([*own, "--steps", str(given.steps), "--models", str(given.own)])
        facts = json.loads(file.read_text())
        whole = wall + facts["training"] * (facts["of"] / facts["models"] - 1)
        name = f"own, {facts['models']} of {facts['of']} timed"
        print(ROW.format(name, facts["of"], whole, whole * cores / 3600, "", f"{whole / adaptive:.1f}"))


def timed(command: list[str]) -> float:
    """Run a command to its end; returns its wall time in seconds."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - began


def answer(out: Path) -> tuple[int, str]:
    """Return how many models were trained, and the critical rho that `hvae-plot critical` gives."""
    subprocess.run([_program("hvae-plot"), "critical", str(out)], check=True, stdout=subprocess.DEVNULL)
    with (out / "figures" / "critical.csv").open() as file:
        row = next(csv.DictReader(file))
    low, high, middle = row["interval90_low"], row["interval90_high"], row["rho_critical"]
    said = f"{float(middle):.4f} [{float(low):.4f}, {float(high):.4f}]" if middle else row["verdict"]
    return len(list(out.glob("cells/*/result.json"))), said


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main()
