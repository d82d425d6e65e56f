"""From pending cells to packs: which cells train together as one stacked model.

Decided once, when a request is planned, and recorded: a resumed pack has the same members in the same order, so its
numbers are bit-identical to an undisturbed run on the same device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from sweeps.grid.cell import Cell
from sweeps.ledger.ledger import Pack

MAX_MEMBERS = 64  # where the size of a pack is left to us


def plan_packs(
    cells: Sequence[Cell],
    size: int | None = None,
    slots: int = 1,
    room: Callable[[Cell], int] = lambda cell: MAX_MEMBERS,
    across_seeds: bool = False,
) -> list[Pack]:
    """Group cells into packs, in the cells' order; a pure function of its arguments.

    Cells that share a pack key go together, each seed apart unless across_seeds. With `size`, a pack has at most that
    many members. Without, it has no more than there is room for, and packs are halved, the largest first, until there
    is one for every slot (CPU core or GPU), so that none idles.
    """
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((0 if across_seeds else cell.member.seed, *cell.pack_key), []).append(cell)
    parts = [part for group in groups.values() for part in _chunks(group, size or room(group[0]))]
    while size is None and len(parts) < slots:
        largest = max(range(len(parts)), key=lambda i: len(parts[i]), default=None)
        if largest is None or len(parts[largest]) == 1:
            break
        parts[largest : largest + 1] = _chunks(parts[largest], math.ceil(len(parts[largest]) / 2))
    return [Pack(tuple(cell.id for cell in part)) for part in parts]


def _chunks(cells: Sequence[Cell], size: int) -> list[list[Cell]]:
    """Cut into as few parts of at most `size` as possible, of nearly equal length."""
    parts = math.ceil(len(cells) / size)
    bounds = [round(i * len(cells) / parts) for i in range(parts + 1)]
    return [list(cells[a:b]) for a, b in itertools.pairwise(bounds)]
