"""An adaptive sweep: rounds of cells, each placed by what all cells before it say (see `placement`).

The rounds are replayed from the first one whenever they are asked for: which cells a round has depends on the request
and on the results of the rounds before it, and on nothing else. A sweep that was stopped therefore goes on in the same
round, and workers on several machines find the same one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.adaptive.placement import START, Guess, Round, guess, next_round
from analysis.critical.kink import Floats
from analysis.critical.rule import in_words
from analysis.critical.seed_interval import LEAST_SEEDS
from hvae_core.checks import SpecError
from sweeps.grid.cell import Cell
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.ledger.validation import is_untrained

MOST_ROUNDS = 50

Look = Callable[[Cell], float | None]  # top KL of a cell that has ended, NaN if it failed; None: it has not


@dataclass(frozen=True)
class Progress:
    """Where an adaptive sweep stands.

    cells: those of all rounds so far, the current one among them. pending: what the current round still needs; nothing
    where the sweep is over. lines: what is known, and what the next round costs or why there is none.
    """

    number: int
    cells: list[Cell]
    pending: list[SweepSpec]
    lines: list[str]


@dataclass(frozen=True)
class Refinement:
    """A request for critical rhos whose 90 % intervals are at most `target` wide.

    start: the first round, of one model. budget: most cells of the whole sweep; None: as many as it takes.
    """

    start: SweepSpec
    target: float
    budget: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise SpecError(f"refine: {self.target!r} is not allowed; it must be between 0 and 1")
        if len(self.start.models) > 1:
            raise SpecError("refine: several models are not allowed; refine one at a time")
        if len({replace(objective, rho=0.0) for objective in self.start.objectives}) > 1 or len(self.start.trains) > 1:
            raise SpecError("refine: a grid over more than rho is not allowed; refine one at a time")
        if len(self.start.seeds) < LEAST_SEEDS:
            raise SpecError(f"seeds: {len(self.start.seeds)} is not allowed with --refine; at least {LEAST_SEEDS}")
        first = len(self.start.cells())
        if self.budget is not None and self.budget < first:
            raise SpecError(f"budget: {self.budget} is not allowed; the first round alone has {first} cells")

    def progress(self, ledger: Ledger) -> Progress:
        """Replay the rounds of a results directory up to the one that is not done."""
        return self.replay(lambda cell: _top_kl(ledger, cell))

    def replay(self, look: Look) -> Progress:
        """Replay the rounds, given each cell's top KL."""
        specs, cells = [self.start], {cell.id: cell for cell in self.start.cells()}
        for number in range(1, MOST_ROUNDS + 1):
            values = {cell_id: look(cell) for cell_id, cell in cells.items()}
            waiting = [spec for spec in specs if any(values[cell.id] is None for cell in spec.cells())]
            if waiting:
                left = sum(value is None for value in values.values())
                return Progress(
                    number, list(cells.values()), waiting, [f"round {number}: {left} of {len(cells)} cells to train"]
                )
            known = {
                cell: value for cell, value in zip(cells.values(), values.values(), strict=True) if value is not None
            }
            guesses = {name: self._guess(known, data) for name, data in self._data.items()}
            lines = [f"round {number}, {name}: {self._words(one)}" for name, one in guesses.items()]
            seeds = {name: self._seeds(known, data) for name, data in self._data.items()}
            plan = next_round(guesses, seeds, sorted({cell.member.objective.rho for cell in cells.values()}))
            if plan is None:
                return Progress(
                    number, list(cells.values()), [], [*lines, f"done: {number} rounds, {len(cells)} cells"]
                )
            specs = self._specs(plan, seeds)
            new = {cell.id: cell for spec in specs for cell in spec.cells() if cell.id not in cells}
            if self.budget is not None and len(cells) + len(new) > self.budget:
                why = f"the next round has {len(new)} cells, which is over the budget of {self.budget}"
                return Progress(number, list(cells.values()), [], [*lines, f"stopped after {len(cells)} cells: {why}"])
            cells |= new
            if any(look(cell) is None for cell in new.values()):
                rhos = ", ".join(f"{rho:g}" for rho in plan.rhos)
                more = [f"rho {rhos}"] if rhos else []
                more += [f"seeds {', '.join(map(str, added))} of {name}" for name, added in plan.seeds.items()]
                lines.append(f"next: {'; '.join(more)}: {len(new)} cells")
                return Progress(number + 1, list(cells.values()), specs, lines)
        return Progress(
            MOST_ROUNDS, list(cells.values()), [], [f"stopped after {MOST_ROUNDS} rounds, {len(cells)} cells"]
        )

    @property
    def _data(self) -> dict[str, DataSource]:
        return {source.reference: source for source in self.start.data}

    def _guess(self, known: Mapping[Cell, float], data: DataSource) -> Guess:
        rho, by_seed = _table({cell: kl for cell, kl in known.items() if cell.checksum == data.checksum})
        return guess(rho, by_seed, self.start.models[0].units[-1], self.target)

    def _seeds(self, known: Mapping[Cell, float], data: DataSource) -> tuple[int, ...]:
        return tuple(sorted({cell.member.seed for cell in known if cell.checksum == data.checksum}))

    def _specs(self, plan: Round, seeds: Mapping[str, Sequence[int]]) -> list[SweepSpec]:
        """Write a round as requests: its rho values with each data set's seeds, and its seeds in their windows."""
        specs = []
        for name, data in self._data.items():
            if plan.rhos:
                specs.append(self._spec(data, plan.rhos, seeds[name]))
            if name in plan.seeds:
                specs.append(self._spec(data, plan.windows[name], plan.seeds[name]))
        return specs

    def _spec(self, data: DataSource, rhos: Sequence[float], seeds: Sequence[int]) -> SweepSpec:
        objectives = tuple(replace(self.start.objectives[0], rho=rho) for rho in rhos)
        return replace(self.start, data=(data,), objectives=objectives, seeds=tuple(seeds))

    def _words(self, one: Guess) -> str:
        said = in_words(one.found, self.start.models[0].units[-1], self.start.trains[0].steps)
        if one.found.has_value:
            return f"rho_c = {one.found.rho:.4f} [{one.found.low:.4f}, {one.found.high:.4f}], {said}"
        near = "" if math.isnan(one.centre) else f" (near {one.centre:.3f} +- {max(one.half, one.gap):.3f})"
        return f"{said}{near}"


def starting_values(rho: Sequence[str] | None, seeds: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return rho values and seeds of the first round: what was typed, else the rule's own."""
    return list(rho or map(str, START)), list(seeds or [str(LEAST_SEEDS)])


def _top_kl(ledger: Ledger, cell: Cell) -> float | None:
    record = ledger.record(cell.id)
    if record is None or record.state == "pending":
        return None
    if record.result is None or is_untrained(record.result):
        return math.nan
    return float(record.result["kl_top"])


def _table(known: Mapping[Cell, float]) -> tuple[Floats, Floats]:
    """Return rho (R,) ascending and top KL (S, R), NaN where there is none; without rho values that have none."""
    known = {cell: kl for cell, kl in known.items() if not math.isnan(kl)}
    rhos = sorted({cell.member.objective.rho for cell in known})
    seeds = sorted({cell.member.seed for cell in known})
    by_seed = np.full((len(seeds), len(rhos)), np.nan)
    for cell, kl in known.items():
        by_seed[seeds.index(cell.member.seed), rhos.index(cell.member.objective.rho)] = kl
    return np.array(rhos), by_seed
