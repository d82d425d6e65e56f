"""What `hvae-sweep rho --quick` takes beside training: data, evaluations, records, L_100, and Ray around all of it.

    python -m benchmarks.whole_sweep [further options of hvae-sweep rho]

`training` is the time of the packs' optimiser steps, `beside it` what else the packs took (periodic and final
evaluation, records), `L_100` the final bound, all summed over packs; `around` is the command's wall time without the
packs (start of Python and Ray, planning, tables), at as many packs at once as there are cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeps.planning.resources import usable_cpus


def main() -> None:
    """Run the sweep in a fresh directory and print one table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("hvae-sweep")), "rho", "--quick", "--out", folder, *sys.argv[1:]]
        start = time.monotonic()
        subprocess.run(command, check=True)
        wall = time.monotonic() - start
        facts = [json.loads(path.read_text()) for path in Path(folder).glob("cells/*/provenance.json")]
    packs = {tuple(fact["pack"]["trained_with"]): fact["pack_seconds"] for fact in facts}
    training, bound, whole = (sum(pack[part] for pack in packs.values()) for part in ("training", "bound", "whole"))
    around = wall - whole / min(usable_cpus(), len(packs))
    print("| packs | training, s | beside it, s | L_100, s | without L_100 / training | around, s | wall, s |")
    print("|---|---|---|---|---|---|---|")
    ratio = (whole - bound) / training
    beside = whole - bound - training
    print(f"| {len(packs)} | {training:.1f} | {beside:.1f} | {bound:.1f} | {ratio:.3f} | {around:.1f} | {wall:.1f} |")


if __name__ == "__main__":
    main()
