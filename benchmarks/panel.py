"""The panel of `gpu.sh` as csv and figure, with matplotlib alone: `python -m benchmarks.panel OUT`."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PANELS = {"kl_top": "top-layer KL (nats)", "au_top": "active top units", "elbo": "test ELBO (nats)"}


def main() -> None:
    """Write panel.csv and panel.png; says so where the panel is not trained to its end."""
    out = Path(sys.argv[1])
    if not (out / "panel.json").is_file():
        print("the panel is not trained to its end: no csv and no figure of it yet")
        return
    facts = json.loads((out / "panel.json").read_text())
    rows = sorted(facts["members"], key=lambda row: row["rho"])
    with (out / "panel.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    figure = Figure(figsize=(3.35, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for ax, (name, label) in zip(figure.subplots(len(PANELS), sharex=True), PANELS.items(), strict=True):
        ax.plot([row["rho"] for row in rows], [row[name] for row in rows], marker="o", markersize=3)
        ax.set_ylabel(label)
    ax.set_xlabel("OU correlation ρ")
    figure.suptitle(f"{facts['model']}, {facts['data']['reference']}, {facts['train']['steps']:,} steps", fontsize=9)
    figure.savefig(out / "panel.png", dpi=200)


if __name__ == "__main__":
    main()
