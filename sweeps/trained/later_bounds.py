"""Later evaluations of complete cells from their weights: L_k with more samples, in eval-<k>.json beside the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from hvae_core.evaluation.blocks import choose_examples
from hvae_core.evaluation.bounds import BOUND_BLOCK, SAMPLE_BLOCK, importance_bound
from hvae_core.systems.base import System, dtype_of
from hvae_core.systems.build import build
from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.ledger.provenance import versions
from sweeps.planning.pack_options import device_name, load_data, options_by_data
from sweeps.trained.load import load_cell

MAX_STACK = 16  # models that are evaluated as one stack


class LaterBound:
    """L_k with k = samples on a seeded choice of test images, for the complete cells that do not have it yet.

    Cells of one model and data set are evaluated together and share their noise by seed. Raises LedgerError where
    there are such cells but none has kept its weights.
    """

    def __init__(self, ledger: Ledger, samples: int, examples: int, data_dir: Path | None, device: str) -> None:
        self.ledger, self.samples, self.examples = ledger, samples, examples
        self._options = options_by_data(ledger, data_dir, device)
        self.groups = self._missing()

    @property
    def cells(self) -> int:
        """Cells to evaluate."""
        return sum(map(len, self.groups))

    def seconds_needed(self) -> float:
        """Time one block of images of each group, after one to warm up, and extend it to all of them."""
        total, least = 0.0, min(self.samples, SAMPLE_BLOCK)
        for cells in self.groups:
            model, images = self._model(cells), self._images(cells[0])
            block = images[:BOUND_BLOCK]
            for _ in range(2):
                start = time.perf_counter()
                importance_bound(model, block, least, [cell.member.seed for cell in cells])
            total += (time.perf_counter() - start) * (len(images) / len(block)) * (self.samples / least)
        return total

    def run(self, note: Callable[[str], None]) -> None:
        """Evaluate group by group; each cell's file is written as soon as its group is done."""
        for cells in self.groups:
            start = time.perf_counter()
            images, seeds = self._images(cells[0]), [cell.member.seed for cell in cells]
            bound = importance_bound(self._model(cells), images, self.samples, seeds)
            shared = {
                "samples": self.samples,
                "examples": len(images),
                "asked": self.examples,
                "seconds": (time.perf_counter() - start) / len(cells),
                "device": device_name(str(images.device)),
                "versions": versions(),
            }
            for i, cell in enumerate(cells):
                value, error = float(bound.value[i]), float(bound.standard_error[i]) if len(images) > 1 else None
                facts = {"ll": value, "ll_se": error, "ll_ess": float(bound.effective_samples[i]), **shared}
                path = self.ledger.cell_path(cell.id) / f"eval-{self.samples}.json"
                write_json(path, {"schema": SCHEMA, "cell_id": cell.id, **facts})
                note(f"{cell.title}: L_{self.samples} {value:.2f} nats on {len(images)} test images")

    def _missing(self) -> list[list[Cell]]:
        found: dict[tuple[object, ...], list[Cell]] = {}
        without = 0
        for record in sorted(self.ledger.records(complete=True), key=lambda record: _place(record.cell)):
            cell = record.cell
            done = self.ledger.evaluations(cell.id).get(self.samples)
            if record.state != "complete" or (done is not None and done["asked"] >= self.examples):
                continue
            if (self.ledger.cell_path(cell.id) / "weights.safetensors").is_file() and (
                cell.dataset,
                cell.checksum,
            ) in self._options:
                key = (cell.checksum, cell.binarise, cell.model, cell.train.precision)
                found.setdefault(key, []).append(cell)
            else:
                without += 1
        if without and not found:
            raise LedgerError(f"{self.ledger.root}: no complete cell has kept its weights, which this needs")
        return [cells[i : i + MAX_STACK] for cells in found.values() for i in range(0, len(cells), MAX_STACK)]

    def _images(self, cell: Cell) -> torch.Tensor:
        options = self._options[cell.dataset, cell.checksum]
        test = load_data(options, cell).test
        return torch.from_numpy(test[choose_examples(len(test), self.examples)]).to(options.device)

    def _model(self, cells: Sequence[Cell]) -> System:
        """Load the models of these cells as the members of one."""
        models = [load_cell(self.ledger.cell_path(cell.id)).model for cell in cells]
        states = [model.state_dict() for model in models]
        model = build(cells[0].model, models[0].image, [0] * len(cells), dtype_of(models[0]))
        model.load_state_dict({name: torch.cat([state[name] for state in states]) for name in states[0]})
        return model.to(self._options[cells[0].dataset, cells[0].checksum].device)


def _place(cell: Cell) -> tuple[object, ...]:
    """Where a cell stands among others in a list that is read."""
    objective = cell.member.objective
    return cell.dataset, cell.source, cell.model.name, objective.rho, objective.method, cell.member.seed
