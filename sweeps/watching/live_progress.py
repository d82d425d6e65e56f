"""Progress of a running sweep, read from the ledger alone: it may run on another machine.

On a terminal a line for the whole and one for each pack are redrawn; otherwise they are printed once a minute. Each
cell's top KL is printed as the cell ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeps.durations import percent, time_left
from sweeps.grid.cell import Cell
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.ledger import Ledger, Pack, Record
from sweeps.ledger.pack_progress import FILE, Pace, checkpointed
from sweeps.ledger.validation import is_untrained

QUIET_SECONDS = 60.0  # between lines when stderr is no terminal
SMOOTHING_SECONDS = 20.0  # of the speed, as packs end and others begin: or the ETA jumps
MAX_PACKS = 8  # that have a line of their own
CLOCK_SECONDS = 5.0  # that the clocks of two machines may differ


@dataclass(frozen=True)
class Snapshot:
    """Cells by state, the share of all training steps that is done, and the time that the others take."""

    complete: int
    failed: int
    total: int
    steps_done: float
    model_steps_per_second: float
    model_steps_left: float
    packs: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The line of the whole, and one for each pack in training."""
        more = len(self.packs) - MAX_PACKS
        return [self.line(), *self.packs[:MAX_PACKS], *([f"  and {more} more packs"] if more > 0 else [])]

    def line(self) -> str:
        """One line for a person."""
        if self.complete + self.failed == self.total:
            return f"{self.complete}/{self.total} cells" + (f", {self.failed} failed" if self.failed else "")
        failed = f", {self.failed} failed" if self.failed else ""
        done = f"{self.complete}/{self.total} cells{failed}, {percent(self.steps_done)} of the steps"
        left, rate = self.model_steps_left, self.model_steps_per_second
        if left == 0:
            return f"{done}, evaluating"
        return f"{done}, {rate:,.0f} model-steps/s, {time_left(left / rate if rate > 0 else None)}"


def describe(record: Record) -> str:
    """One line about a cell that has ended."""
    cell = record.cell
    name = cell.title
    if record.result is not None:
        r, L = record.result, cell.model.depth
        units = f"{r['au_top']}/{cell.model.units[L - 1]} active"
        worse = f", worse than independent pixels ({r['baseline']:.2f})" if is_untrained(r) else ""
        bits = f" ({r['bits_per_dim']:.3f} bits/dim)" if "bits_per_dim" in r else ""
        return f"{name}: top KL {r['kl_top']:.3f} nats, {units}, ELBO {r['elbo']:.2f}{bits}{worse}"
    lines = (record.failure or {}).get("lines") or [""]
    return f"{name}: {record.state}: {lines[-1]}"


def pack_name(cells: Sequence[Cell]) -> str:
    """Name a pack by its data, its model and its seeds."""
    first, seeds = cells[0], sorted({cell.member.seed for cell in cells})
    name = f"{first.dataset}:{first.source} {first.model.name}"
    return f"{name} seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


class Progress:
    """Follows the cells of one run from a thread of its own, as a context.

    on_look is called at every look, about once a second, with the cells that have ended since the last.
    """

    def __init__(
        self,
        ledger: Ledger,
        cells: Sequence[Cell],
        packs: Sequence[Pack],
        console: Console,
        on_look: Callable[[Sequence[Record]], None],
    ) -> None:
        self.ledger, self.console, self.packs, self.on_look = ledger, console, packs, on_look
        self.total = len(cells)
        self._open = dict.fromkeys(cell.id for cell in cells)
        self._by_state = {"complete": 0, "failed": 0, "diverged": 0}
        self._cells = {cell.id: cell for cell in cells}
        self._planned = sum(len(pack.cells) * self._pack_steps(pack) for pack in packs)
        self._began = self._looked = time.time()
        self._speed = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def poll(self) -> tuple[Snapshot, list[Record]]:
        """Read the ledger: where the run stands, and the cells that ended since the last look."""
        ended = []
        for cell_id in self._open:
            path = self.ledger.cell_path(cell_id)
            if (path / "result.json").exists() or (path / "failure.json").exists():
                try:
                    record = self.ledger.record(cell_id)
                except DamagedFileError:
                    continue
                if record is not None and record.state != "pending":
                    ended.append(record)
                    self._by_state[record.state] += 1
        for record in ended:
            del self._open[record.cell.id]
        rate, left, lines = 0.0, 0.0, []
        for pack in self.packs:
            if self._open.keys().isdisjoint(pack.cells):
                continue
            pace = self._pace(pack)
            step = pace.step if pace else checkpointed(self.ledger.pack_path(pack.id))
            left += len(pack.cells) * (self._pack_steps(pack) - step)
            rate += len(pack.cells) * (pace.steps_per_second if pace else 0.0)
            if pace:
                known = [self._cells[cell] for cell in pack.cells if cell in self._cells]
                lines.append(f"  {pack_name(known)}: {pace.line()}")
        self._follow_speed(rate)
        states, done = self._by_state, 1 - left / self._planned if self._planned else 1.0
        failed = states["failed"] + states["diverged"]
        return Snapshot(states["complete"], failed, self.total, done, self._speed, left, tuple(lines)), ended

    def _pack_steps(self, pack: Pack) -> int:
        return next((self._cells[cell].train.steps for cell in pack.cells if cell in self._cells), 0)

    def _pace(self, pack: Pack) -> Pace | None:
        """Read how fast a pack goes; None where that was written before this run began, by a worker that is gone."""
        folder = self.ledger.pack_path(pack.id)
        try:
            fresh = (folder / FILE).stat().st_mtime >= self._began - CLOCK_SECONDS
        except OSError:
            return None
        return Pace.read(folder) if fresh else None

    def _follow_speed(self, rate: float) -> None:
        """Take a new reading into the smoothed speed; none between two packs leaves it as it is."""
        now = time.time()
        if rate > 0:
            weight = 1 - math.exp(-(now - self._looked) / SMOOTHING_SECONDS) if self._speed > 0 else 1.0
            self._speed += weight * (rate - self._speed)
        self._looked = now

    def _follow(self) -> None:
        if not self.console.is_terminal:
            self._loop(lambda line: None)
            return
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            self._loop(lambda line: live.update(Text(line)))

    def _loop(self, redraw: Callable[[str], None]) -> None:
        said = time.monotonic()
        while True:
            last = self._done.is_set()
            snapshot, ended = self.poll()
            for record in ended:
                self._print(describe(record))
            self.on_look(ended)
            redraw("\n".join(snapshot.lines))
            if not self.console.is_terminal and time.monotonic() - said > QUIET_SECONDS:
                for line in snapshot.lines:
                    self._print(line)
                said = time.monotonic()
            if last:
                return
            self._done.wait(1.0)

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
