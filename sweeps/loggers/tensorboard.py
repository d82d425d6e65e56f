"""TensorBoard event files."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.ledger.ledger import Record
from sweeps.loggers.base import facts_of, is_settled, points_of, published

FLOAT32_MAX = (2 - 2**-23) * 2.0**127


class TensorBoard:
    """Event files, one folder per cell id: metrics, the HPARAMS tab, the configuration as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        importlib.import_module("tensorboardX")
        self._files = importlib.import_module("tensorboardX.event_file_writer")
        self._protocol = importlib.import_module("tensorboardX.proto.event_pb2")
        self._summary = importlib.import_module("tensorboardX.summary")

    def log(self, record: Record, history: Sequence[Mapping[str, float]]) -> None:
        """Write the run unless it is there; raises OSError."""
        final, points, facts = self._folder / record.cell.id, points_of(record, history), facts_of(record)
        if is_settled(final, record):
            return
        table = [f"| {key} | {str(value).replace('|', '&#124;')} |" for key, value in facts.items()]
        text = "\n".join(["| setting | value |", "|---|---|", *table])
        tested = [name for values in points.values() for name in values if name.startswith("test/")]
        summaries = [(0, self._summary.text("config", text))]
        summaries += [(0, summary) for summary in self._summary.hparams(facts, tested)]
        for step, values in points.items():
            kept = {name: value for name, value in values.items() if abs(value) <= FLOAT32_MAX}  # all such a file holds
            summaries += [(step, self._summary.scalar(name, value)) for name, value in kept.items()]
        with published(final, record) as folder:
            # Not SummaryWriter: it writes from a thread, so that a full disk would go unnoticed, or be waited for.
            writer = self._files.EventsWriter(str(folder / "events"))
            for step, summary in summaries:
                writer.write_event(self._protocol.Event(wall_time=time.time(), step=step, summary=summary))
            writer.close()

    def close(self) -> None:
        """Nothing is held between two runs."""
