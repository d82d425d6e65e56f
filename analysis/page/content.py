"""What the report page says: gathered from results directories, in the order of the page, as plain values."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.axes.legend import RHO_C, critical_in_words
from analysis.critical.rule import VALUES
from analysis.critical.table import critical_table
from analysis.frames.curves import curves
from analysis.frames.histories import histories
from analysis.page.chart import Chart
from analysis.page.over_rho import information, transition
from analysis.page.over_sizes import collapse
from analysis.page.over_steps import training
from analysis.tables.layout import Number, Table
from analysis.words.curves import curve_in_words
from sweeps.ledger.atomic_files import read_json
from sweeps.ledger.ledger import Ledger

STATES = ("complete", "pending", "failed", "diverged")
MOST_CELLS, MOST_FAILURES, MOST_LINES = 1000, 50, 8
CELL_COLUMNS = (
    *("cell_id", "state", "dataset", "source", "model", "method", "rho", "ou_samples", "seed", "steps"),
    *("elbo", "bits_per_dim", "kl_total", "kl_top", "au_top", "share_top", "info_top", "ll_100"),
)
ASIDE = ("command", "config", "preset", "quick")  # of a request's settings: no options of its command


@dataclass
class Content:
    """A page: when it was made, of what, and its parts. samples: a PNG as base64, or nothing."""

    made: str
    directories: list[str]
    counts: dict[str, int]
    pending: bool
    verdicts: list[dict[str, str]]
    charts: list[Chart]
    tables: list[Table]
    samples: str
    failures: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    versions: list[str]
    data: list[dict[str, Any]]
    cells: list[dict[str, str]]
    cell_columns: list[str]
    notes: list[str]


def content_of(
    frame: pd.DataFrame,
    trained: pd.DataFrame,
    directories: Sequence[Path],
    tables: Sequence[Table],
    samples: bytes,
    notes: Sequence[str],
) -> Content:
    """Put a page together; `trained` are the cells that are drawn over rho, which may be none."""
    found, lines = histories(directories, frame)
    ledgers = [Ledger(directory) for directory in directories]
    made = [
        transition(trained) if len(trained) else None,
        information(trained) if len(trained) else None,
        training(frame, found),
        collapse(frame) if (frame["state"] == "complete").any() else None,
    ]
    counts = {state: int((frame["state"] == state).sum()) for state in STATES}
    columns = [name for name in CELL_COLUMNS if name in frame and frame[name].notna().any()]
    more = len(frame) - MOST_CELLS
    return Content(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        directories=[str(directory) for directory in directories],
        counts=counts,
        pending=counts["pending"] > 0,
        verdicts=verdicts(trained),
        charts=[chart for chart in made if chart is not None],
        tables=list(tables),
        samples=base64.b64encode(samples).decode(),
        failures=[failure for ledger in ledgers for failure in _failures(ledger)][:MOST_FAILURES],
        requests=[request for ledger in ledgers for request in _requests(ledger)],
        versions=sorted({line for ledger in ledgers for line in _versions(ledger)}),
        data=_data(ledgers),
        cells=[{name: _text(row[name]) for name in columns} for _, row in frame.head(MOST_CELLS).iterrows()],
        cell_columns=columns,
        notes=[*notes, *lines, *([f"{more} more cells are in results.csv"] if more > 0 else [])],
    )


def verdicts(trained: pd.DataFrame) -> list[dict[str, str]]:
    """Say the critical rho of each curve and its interval, or why there is none; nothing if none has enough rho."""
    if not len(trained) or (table := critical_table(trained))["kind"].eq("few").all():
        return []
    named = {curve.key: curve_in_words(curve) for curve in curves(trained)}
    said = []
    for curve in curves(table):
        row = {str(name): value for name, value in curve.rows.iloc[0].items()}
        has_one = row["kind"] in (*VALUES, "bracket", "crossover") and row["active_most"] != 0
        words = critical_in_words(row).replace(RHO_C, "ρ_c") if has_one else "none"
        said.append({"curve": named[curve.key], "critical": words, "verdict": str(row["verdict"])})
    return said


def cell_of(cell: str | Number) -> dict[str, Any]:
    """Return a table's cell for the page: its text, and whether it is the best of its column."""
    if isinstance(cell, str):
        return {"text": cell, "best": False}
    spread = f" ± {cell.spread}" if cell.spread else ""
    error = f" ({cell.error})" if cell.error else ""
    return {"text": f"{cell.text}{spread}{error}", "best": cell.best}


def png(figure: Any) -> bytes:
    """Return a matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _failures(ledger: Ledger) -> list[dict[str, Any]]:
    """Name failed and diverged cells with the last lines of what they said."""
    found = []
    for record in ledger.records():
        if record.state in ("failed", "diverged") and record.failure is not None:
            lines = record.failure.get("lines")
            shown = [str(line) for line in lines[-MOST_LINES:]] if isinstance(lines, list) else []
            facts = {"cell": record.cell.id, "title": record.cell.title, "state": record.state}
            found.append({**facts, "step": str(record.failure.get("step", "")), "lines": shown})
    return found


def _requests(ledger: Ledger) -> list[dict[str, Any]]:
    """Say what was asked for: when, the command, and its settings."""
    return [
        {
            "time": str(request.get("time", "")),
            "command": f"hvae-sweep {request['settings'].get('command', 'rho')} --out {ledger.root}",
            "settings": [
                (name.replace("_", "-"), _value(value))
                for name, value in request["settings"].items()
                if name not in ASIDE and value not in (None, [], False, "")
            ],
        }
        for request in ledger.requests()
    ]


def _versions(ledger: Ledger) -> set[str]:
    """Name the versions and machines that trained the cells, each combination once."""
    lines = set()
    for cell in ledger.cell_ids():
        found = read_json(ledger.cell_path(cell) / "provenance.json") or {}
        versions = found.get("versions")
        if isinstance(versions, dict):
            packages = ", ".join(f"{name} {version}" for name, version in versions.items())
            lines.add(f"{packages}; {found.get('machine', '')}; {found.get('device', '')}; {found.get('git_sha', '')}")
    return lines


def _data(ledgers: Sequence[Ledger]) -> list[dict[str, Any]]:
    """Name the data sets of all requests, with their checksums."""
    every = [data for ledger in ledgers for request in ledger.requests() for data in request["request"]["data"]]
    return list({str(data.get("checksum")): data for data in every}.values())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
