"""The look of every figure: sizes of a two-column paper, colours and markers that survive grey print.

Figures are plain `Figure` objects on the Agg canvas. Settings hold inside `paper_style()` only; neither the global
settings nor pyplot's list of figures is ever touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMN_INCHES, PAGE_INCHES = 3.35, 7.0
FONT_POINTS, SMALL_POINTS = 8.0, 7.0
FORMATS = ("png", "pdf", "svg")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
Line: TypeAlias = Literal["-", "--", "-.", ":"]
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
MAX_NAME = 40

_FONT = "DejaVu Sans"
_PAPER: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [_FONT],
    "font.size": FONT_POINTS,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": FONT_POINTS,
    "axes.titlesize": FONT_POINTS,
    "figure.titlesize": FONT_POINTS,
    "xtick.labelsize": SMALL_POINTS,
    "ytick.labelsize": SMALL_POINTS,
    "legend.fontsize": SMALL_POINTS,
    "legend.title_fontsize": SMALL_POINTS,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 1.6,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "hvae",
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Hold the settings of paper figures while a figure is drawn or written: matplotlib's own, and ours over them."""
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc is for the user's figures
        ticks: dict[Any, Any] = dict(sns.axes_style("ticks"))
        mpl.rcParams.update({**ticks, **_PAPER})
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of that many inches, unknown to pyplot."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def colour(index: int) -> tuple[float, float, float]:
    """Return a colour of a palette made for colour-blind readers; it repeats after ten."""
    palette = sns.color_palette("colorblind")
    red, green, blue = palette[index % len(palette)]
    return red, green, blue


def plain(text: str) -> str:
    """Make a name from a results directory safe to draw: no formulas, no control or missing glyphs, not too long."""
    known = "".join(c if ord(c) in _glyphs() and c.isprintable() else "?" for c in " ".join(text.split()))
    short = known if len(known) <= MAX_NAME else known[: MAX_NAME - 1] + "…"
    return short.replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())
