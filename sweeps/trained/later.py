"""Evaluate complete cells further from their weights, and write eval-<name>.json beside each result."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch

from hvae_core.evaluation.blocks import choose_examples
from hvae_core.systems.base import System, dtype_of
from hvae_core.systems.build import build
from sweeps.grid.cell import SCHEMA, Cell
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.ledger.provenance import versions
from sweeps.planning.pack_options import device_name, load_data, options_by_data
from sweeps.trained.evaluations import Evaluation
from sweeps.trained.load import load_cell


class Later:
    """One evaluation of the complete cells that do not have it yet, on a seeded choice of test images.

    `only` are the ids of the cells that it is wanted for; None: of all.

    Cells of one model and data set are evaluated together and share their noise by seed. Raises LedgerError where
    there are such cells but none has kept its weights.
    """

    def __init__(
        self,
        ledger: Ledger,
        evaluation: Evaluation,
        data_dir: Path | None,
        device: str,
        only: Collection[str] | None = None,
    ) -> None:
        self.ledger, self.evaluation, self.only = ledger, evaluation, only
        self._options = options_by_data(ledger, data_dir, device)
        self.complete = 0
        """Complete cells, whether they have the evaluation or not."""
        self.groups = self._missing()

    @property
    def cells(self) -> int:
        """Cells to evaluate."""
        return sum(map(len, self.groups))

    def seconds_needed(self) -> float:
        """Estimate how long all groups take; groups of one model and size cost the same."""
        known: dict[tuple[object, ...], float] = {}
        total = 0.0
        for cells in self.groups:
            key = (*_kind(cells[0]), len(cells))
            if key not in known:
                seeds = [cell.member.seed for cell in cells]
                known[key] = self.evaluation.seconds(self._model(cells), self._images(cells[0]), seeds)
            total += known[key]
        return total

    def run(self, note: Callable[[str], None]) -> None:
        """Evaluate group by group; each cell's file is written as soon as its group is done."""
        for cells in self.groups:
            start = time.perf_counter()
            images, seeds = self._images(cells[0]), [cell.member.seed for cell in cells]
            measured = self.evaluation.measure(self._model(cells), images, seeds)
            shared = {
                "examples": len(images),
                "asked": self.evaluation.examples,
                "seconds": (time.perf_counter() - start) / len(cells),
                "device": device_name(str(images.device)),
                "versions": versions(),
            }
            for cell, facts in zip(cells, measured, strict=True):
                if self.evaluation.is_done({}, self.ledger.evaluations(cell.id).get(self.evaluation.name)):
                    continue  # another run has written it meanwhile, from as many images or more
                path = self.ledger.cell_path(cell.id) / f"eval-{self.evaluation.name}.json"
                write_json(path, {"schema": SCHEMA, "cell_id": cell.id, **facts, **shared})
                note(f"{cell.title}: {self.evaluation.line(facts)} on {len(images)} test images")

    def _missing(self) -> list[list[Cell]]:
        found: dict[tuple[object, ...], list[Cell]] = {}
        without = 0
        for record in sorted(self.ledger.records(complete=True), key=lambda record: _place(record.cell)):
            cell = record.cell
            if self.only is not None and cell.id not in self.only:
                continue
            self.complete += record.state == "complete"
            done = self.ledger.evaluations(cell.id).get(self.evaluation.name)
            if record.state != "complete" or self.evaluation.is_done(record.result or {}, done):
                continue
            known = (cell.dataset, cell.checksum) in self._options
            if known and (self.ledger.cell_path(cell.id) / "weights.safetensors").is_file():
                found.setdefault(_kind(cell), []).append(cell)
            else:
                without += 1
        if without and not found:
            raise LedgerError(f"{self.ledger.root}: no complete cell has kept its weights, which this needs")
        sizes = {kind: self.evaluation.stack(cells[0].model) for kind, cells in found.items()}
        return [cells[i : i + sizes[kind]] for kind, cells in found.items() for i in range(0, len(cells), sizes[kind])]

    def _images(self, cell: Cell) -> torch.Tensor:
        options = self._options[cell.dataset, cell.checksum]
        test = load_data(options, cell).test
        return torch.from_numpy(test[choose_examples(len(test), self.evaluation.examples)]).to(options.device)

    def _model(self, cells: Sequence[Cell]) -> System:
        """Load the models of these cells as the members of one."""
        models = [load_cell(self.ledger.cell_path(cell.id)).model for cell in cells]
        states, objective = [model.state_dict() for model in models], cells[0].member.objective
        how = (cells[0].train.mixture, objective.system, objective.pseudo_inputs)
        model = build(cells[0].model, models[0].image, [0] * len(cells), dtype_of(models[0]), None, None, *how)
        model.load_state_dict({name: torch.cat([state[name] for state in states]) for name in states[0]})
        return model.to(self._options[cells[0].dataset, cells[0].checksum].device)


def _kind(cell: Cell) -> tuple[object, ...]:
    """Return what cells that are evaluated together have in common."""
    train, objective = cell.train, cell.member.objective
    data = (cell.dataset, cell.checksum, cell.binarise)
    return *data, cell.model, train.precision, train.mixture, objective.system, objective.pseudo_inputs


def _place(cell: Cell) -> tuple[object, ...]:
    """Where a cell stands among others in a list that is read."""
    objective = cell.member.objective
    return cell.dataset, cell.source, cell.model.name, objective.rho, objective.method, cell.member.seed
