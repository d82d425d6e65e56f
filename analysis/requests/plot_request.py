"""What a command of `hvae-plot` is asked for, read and checked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.checks import SpecError
from sweeps.ledger.locate import refuse_scheme
from sweeps.options import values

if TYPE_CHECKING:
    import pandas as pd

    from analysis.axes.paper import Paper, Width
    from analysis.frames.gather import Gathered


@dataclass(frozen=True)
class PlotRequest:
    """Results directories, what of them is wanted, and how it is to be written.

    datasets (each `name` or `name:source`), models and rhos keep only those; none keeps all. out: None where the first
    results directory is to hold the files, in `figures/`.
    """

    results: Sequence[Path]
    out: Path | None = None
    datasets: Sequence[str] = ()
    models: Sequence[str] = ()
    rhos: Sequence[float] = ()
    formats: Sequence[str] = ("png", "pdf")
    width: Width | None = None
    title: bool | None = None
    mplstyle: Path | None = None

    @classmethod
    def of(
        cls,
        directories: Sequence[str],
        out: str | None,
        datasets: Sequence[str],
        models: Sequence[str],
        rho: Sequence[str] = (),
        mplstyle: str | None = None,
        **figure: Any,
    ) -> PlotRequest:
        """Read what a command was given; raises SpecError for what is no directory."""
        results = [read_path("results", text) for text in directories]
        for path in results:
            if not path.is_dir():
                reason = "is a file, not a results directory" if path.exists() else "no such directory"
                raise SpecError(f"results: {str(path)!r}: {reason}")
        where = None if out is None else read_path("out", out)
        if where is not None and where.exists() and not where.is_dir():
            raise SpecError(f"out: {str(where)!r} is a file; it must be a directory")
        rhos = values.floats("rho", rho) if rho else ()
        style = None if mplstyle is None else read_path("mplstyle", mplstyle)
        only = read_items("datasets", datasets), read_items("models", models)
        return cls(results, where, *only, rhos, mplstyle=style, **figure)

    @property
    def directory(self) -> Path:
        """Where the files go."""
        return self.results[0] / "figures" if self.out is None else self.out

    @property
    def paper(self) -> Paper:
        """What figures are printed on."""
        from analysis.axes.paper import Paper  # --help needs no matplotlib

        return Paper(self.width, self.title, self.mplstyle)

    def gather(self) -> tuple[Gathered, pd.DataFrame]:
        """Gather the directories, and keep the rows that are wanted; raises GatherError where there are none."""
        from analysis.frames.gather import gather  # --help needs no pandas
        from analysis.frames.select import keep_only

        gathered = gather(self.results, note=lambda line: print(line, file=sys.stderr, flush=True))
        return gathered, keep_only(gathered.frame, self.datasets, self.models, self.rhos)

    def trained_cells(self) -> tuple[pd.DataFrame, list[str]]:
        """Gather for a report on the fall of the top layer, with a line on each trouble.

        Matched-beta cells stand on the rho axis, blown-up ones apart; raises GatherError where no cell is complete.
        """
        from analysis.frames.over_rho import over_rho
        from analysis.words.incomplete import require_complete, untrained

        gathered, frame = self.gather()
        require_complete(frame)
        worse = untrained(frame)
        frame = over_rho(frame)
        require_complete(frame)
        return frame, gathered.notes + worse


def read_path(name: str, text: str) -> Path:
    """Read a path, whose leading ~ is somebody's home directory; raises SpecError."""
    if not text:
        raise SpecError(f"{name}: '' is not allowed; it must be a directory")
    refuse_scheme(name, text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{name}: {text!r} is not allowed; it must begin with the ~ of a known user") from error


def read_items(name: str, given: Sequence[str]) -> list[str]:
    """Read a list that may be absent; raises SpecError."""
    return values.items(name, given) if given else []
