"""One worker without Ray: takes packs from the recorded requests until none is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

import torch

from hvae_core.spec import SpecError
from sweeps.claims import HeldError
from sweeps.journal import Journal
from sweeps.ledger import Ledger, LedgerError
from sweeps.loggers import LOGGERS
from sweeps.progress import describe
from sweeps.worker import Job, run_pack, tidy

WAIT_SECONDS = 5.0  # between looks at packs that others hold


def work_through(ledger: Ledger, wait: bool, note: Callable[[str], None]) -> tuple[int | None, list[str]]:
    """Train every recorded pack with pending cells that no live worker holds.

    Returns the signal that stopped it, if one did, and a line on each pack whose records cannot be used. With
    `wait`, stays until every other pack is done, and takes over those whose holder died.
    """
    stopped: list[int] = []
    troubles: dict[str, None] = {}
    asked = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        asked.set()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not asked.is_set():
            held = False
            for request in ledger.requests():
                held |= _work_request(ledger, Job.of(ledger.root, request, _device()), request, asked, note, troubles)
            if not (held and wait):
                break
            asked.wait(WAIT_SECONDS)
        tidy(ledger)
        if not asked.is_set():
            try:
                with Journal(_logs(ledger), ledger, note):
                    pass  # it catches up as it opens
            except (HeldError, SpecError) as error:
                note(str(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return stopped[0] if stopped else None, list(troubles)


def _work_request(
    ledger: Ledger,
    job: Job,
    request: dict[str, object],
    asked: threading.Event,
    note: Callable[[str], None],
    troubles: dict[str, None],
) -> bool:
    """Take the request's open packs in their order; returns whether others hold any of them."""
    held = False
    for pack in ledger.packs([request]).values():
        open_cells = [cell for cell in pack.cells if ledger.state(cell) == "pending"]
        if not open_cells or asked.is_set():
            continue
        try:
            outcome = run_pack(job, pack, asked.is_set, note)
        except LedgerError as error:
            troubles[str(error)] = None
            continue
        held |= outcome == "held"
        for cell in open_cells:
            record = ledger.record(cell)
            if outcome in ("complete", "failed") and record is not None:
                note(describe(record))
    return held


def _logs(ledger: Ledger) -> list[str]:
    """Return the loggers that any request asks for."""
    asked = [request["settings"].get("log") for request in ledger.requests()]
    return [name for name in LOGGERS if any(isinstance(names, list) and name in names for names in asked)]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
