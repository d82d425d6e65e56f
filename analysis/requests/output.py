"""Files of a figure, a table or a frame on disk, each whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.axes.style import FORMATS
from analysis.frames.csv_text import csv_bytes
from analysis.requests.plot_request import PlotRequest
from sweeps.ledger.atomic_files import write_bytes


def write_all(directory: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files by name into a directory, which is made where it is missing; returns their paths.

    Raises an OSError with a one-line message where nothing can be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(directory / name, content)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{directory}: is not a directory that files can be written to") from error
    except OSError as error:
        raise OSError(f"{directory}: cannot be written to: {error.strerror or error}") from error
    return [directory / name for name in contents]


def write_files(figure: Figure, request: PlotRequest, name: str, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write `<name>.<format>` for each format and a csv per table, each whole or not at all; return their paths.

    Raises ValueError for an unknown format, and an OSError with a one-line message where nothing can be written.
    The same figure gives the same bytes. The figure is not known to pyplot, so there is nothing to close.
    """
    unknown = [each for each in request.formats if each not in FORMATS]
    if unknown:
        raise ValueError(f"format: {unknown[0]!r} is not allowed; it must be {', '.join(FORMATS)}")
    dates: dict[str, dict[str, str | None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    contents: dict[str, bytes] = {}
    for each in request.formats:
        content = io.BytesIO()
        with request.paper.style():
            figure.savefig(content, format=each, metadata=dates.get(each))
        contents[f"{name}.{each}"] = content.getvalue()
    csv = {f"{each}.csv": csv_bytes(table) for each, table in tables.items()}
    return write_all(request.directory, contents | csv)
