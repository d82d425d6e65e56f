"""One worker without Ray: takes packs from the recorded requests until none is left.

SIGINT, SIGTERM and SIGUSR1, which schedulers can send before a time limit, let it write a checkpoint and stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hvae_core.checks import SpecError
from hvae_core.data import DataError
from sweeps.ledger.claims import HeldError, holder_of
from sweeps.ledger.ledger import Ledger, LedgerError
from sweeps.ledger.pack_progress import checkpointed
from sweeps.loggers.follower import Journal
from sweeps.loggers.registry import LOGGERS
from sweeps.planning.pack_options import PackOptions
from sweeps.running.pack import Outcome, run_pack, tidy
from sweeps.running.stop_request import WORKER_SIGNALS, StopRequest
from sweeps.watching.live_progress import describe

WAIT_SECONDS = 5.0  # between looks at packs that others hold


def work_through(
    ledger: Ledger, wait: bool, note: Callable[[str], None], follow: Callable[[int], None]
) -> tuple[int | None, list[str]]:
    """Train every recorded pack with pending cells that no live worker holds.

    Returns the signal that stopped it, if one did, and a line on each trouble with a pack's records or data, or with
    what this machine lacks, which leaves that pack to others. Looks again for as long as it finds work, since
    holders die meanwhile; with `wait`, until every pack is done. `follow` is told after each pack how many cells ended.
    """
    refused: dict[str, str] = {}  # packs that this worker cannot train, and why: it tries each once
    with StopRequest(signals=WORKER_SIGNALS) as stop:
        while not stop():
            outcomes: set[Outcome] = set()
            for request in ledger.requests():
                options = PackOptions.of(ledger.root, request, _device(request))
                outcomes |= _work_request(ledger, options, request, stop, note, follow, refused)
            if outcomes.isdisjoint(("complete", "failed")):
                if not (wait and "held" in outcomes):
                    break
                stop.wait(WAIT_SECONDS)
        tidy(ledger)
        if not stop():
            try:
                with Journal(_logs(ledger), ledger, note):
                    pass  # it catches up as it opens
            except (HeldError, SpecError) as error:
                note(str(error))
    return stop.signal, list(dict.fromkeys(refused.values()))


def _work_request(
    ledger: Ledger,
    options: PackOptions,
    request: dict[str, Any],
    stop: StopRequest,
    note: Callable[[str], None],
    follow: Callable[[int], None],
    refused: dict[str, str],
) -> set[Outcome]:
    """Take the request's open packs in their order; returns what happened to any of them."""
    outcomes: set[Outcome] = set()
    for pack in ledger.packs([request]).values():
        open_cells = [cell for cell in pack.cells if ledger.state(cell) == "pending"]
        if not open_cells or stop() or pack.id in refused:
            continue
        step = checkpointed(ledger.pack_path(pack.id))
        if step and holder_of(ledger.pack_path(pack.id) / "claim") is None:
            note(f"pack {pack.id}: goes on at step {step:,}")
        try:
            outcome = run_pack(options, pack, stop, note)
        except (DataError, LedgerError, SpecError) as error:
            refused[pack.id] = str(error)
            continue
        outcomes.add(outcome)
        for cell in open_cells:
            record = ledger.record(cell)
            if outcome in ("complete", "failed") and record is not None:
                note(describe(record))
        if outcome in ("complete", "failed"):
            follow(len(open_cells))
    return outcomes


def held_elsewhere(ledger: Ledger) -> set[str]:
    """Return the cells of packs that a live worker holds."""
    packs = ledger.packs().values()
    return {cell for pack in packs if holder_of(ledger.pack_path(pack.id) / "claim") for cell in pack.cells}


def _logs(ledger: Ledger) -> list[str]:
    """Return the loggers that any request asks for."""
    asked = [request["settings"].get("log") for request in ledger.requests()]
    return [name for name in LOGGERS if any(isinstance(names, list) and name in names for names in asked)]


def _device(request: dict[str, Any]) -> str:
    """Take a GPU where there is one, unless the request wants none; CUDA_VISIBLE_DEVICES says which."""
    return "cuda" if torch.cuda.is_available() and request["settings"].get("gpus_per_trial") != 0 else "cpu"
