"""What a figure is printed on: a column or the whole page of a paper, titled or not, in a style of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from analysis.axes.style import COLUMN_INCHES, KEPT, PAGE_INCHES, paper_style, settings_of

Width: TypeAlias = Literal["column", "page"]

INCHES: dict[Width, float] = {"column": COLUMN_INCHES, "page": PAGE_INCHES}


@dataclass(frozen=True)
class Paper:
    """Width of a figure, None for what its content needs; whether it has a title, None for on a page only; a style.

    mplstyle is a matplotlib style file, whose settings come over ours, but for sizes (see `style.KEPT`).
    """

    width: Width | None = None
    title: bool | None = None
    mplstyle: Path | None = None

    @property
    def left_out(self) -> list[str]:
        """Settings of the style file that are not followed; raises SpecError for a file that is none."""
        return [] if self.mplstyle is None else [name for name in settings_of(self.mplstyle) if name in KEPT]

    def inches(self, needed: Width) -> float:
        """Return the width in inches of a figure whose content needs a column or a page."""
        return INCHES[self.width or needed]

    def titled(self, title: str, inches: float) -> str:
        """Return the title that a figure of that width has, or none: in a column the caption says it."""
        return title if self.title or (self.title is None and inches > COLUMN_INCHES) else ""

    @contextmanager
    def style(self) -> Iterator[None]:
        """Hold the settings of paper figures while the figure is drawn or written."""
        with paper_style(self.mplstyle):
            yield


DEFAULT = Paper()
