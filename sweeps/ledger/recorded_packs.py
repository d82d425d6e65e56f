"""Which recorded packs have work left."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.ledger.ledger import Pack


def recorded_packs(known: Mapping[str, Pack], pending: set[str]) -> list[Pack]:
    """Choose the recorded packs that have pending cells, none of them in two packs.

    A pack is taken whole, with cells that nobody asks for now: only in the same company do its numbers stay the same.
    """
    taken: set[str] = set()
    chosen = []
    for pack in known.values():
        open_cells = [cell for cell in pack.cells if cell in pending]
        if open_cells and taken.isdisjoint(open_cells):
            chosen.append(pack)
            taken.update(open_cells)
    return chosen
