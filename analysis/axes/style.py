"""The look of every figure: sizes of a two-column paper, colours and markers that survive grey print.

Figures are plain `Figure` objects on the Agg canvas. Settings hold inside `paper_style()` only; neither the global
settings nor pyplot's list of figures is ever touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hvae_core.checks import SpecError

COLUMN_INCHES, PAGE_INCHES = 3.35, 7.0
FONT_POINTS, SMALL_POINTS = 8.0, 7.0
FORMATS = ("png", "pdf", "svg")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
Line: TypeAlias = Literal["-", "--", "-.", ":"]
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
MARKER_POINTS = 3.6
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
    "lines.markersize": MARKER_POINTS,
    "lines.markeredgewidth": 0.4,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "hvae",
}
DPI = (20, 2400)  # that a style file may ask for
KEPT = (
    *(name for name in _PAPER if name.endswith(("size", "fontsize")) and "marker" not in name and "." in name),
    *("figure.figsize", "figure.autolayout", "figure.constrained_layout.use", "savefig.bbox", "savefig.pad_inches"),
    *("pdf.fonttype", "svg.hashsalt", "backend", "interactive", "text.usetex"),
)
"""Settings that no style file changes: sizes, which are chosen for the width of a column, and fonts in every PDF."""


@contextmanager
def paper_style(mplstyle: Path | None = None) -> Iterator[None]:
    """Hold the settings of paper figures while a figure is drawn or written: matplotlib's own, and ours over them.

    The settings of a matplotlib style file come over both, but for KEPT. Raises SpecError for a file that is none.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc is for the user's figures
        ticks: dict[Any, Any] = dict(sns.axes_style("ticks"))
        mpl.rcParams.update({**ticks, **_PAPER})
        if mplstyle is not None:
            mpl.rcParams.update({name: value for name, value in settings_of(mplstyle).items() if name not in KEPT})
        yield


def settings_of(mplstyle: Path) -> dict[Any, Any]:
    """Read a style file; raises SpecError for what cannot be read, and for settings that matplotlib does not know."""
    complaints: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("matplotlib")
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        settings: dict[Any, Any] = dict(mpl.rc_params_from_file(mplstyle, use_default_template=False))
    except OSError as error:
        raise SpecError(f"mplstyle: {str(mplstyle)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"mplstyle: {str(mplstyle)!r} is no text file") from error
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
    if complaints:
        raise SpecError(f"mplstyle: {str(mplstyle)!r}: {' '.join(complaints[0].split())}")
    for name in ("figure.dpi", "savefig.dpi"):
        dpi = settings.get(name, "figure")
        if dpi != "figure" and not DPI[0] <= dpi <= DPI[1]:
            raise SpecError(f"mplstyle: {name} = {dpi:g} is not allowed; it must be {DPI[0]} to {DPI[1]}")
    for family in ("font.family", "font.sans-serif", "font.serif", "font.monospace"):
        if family in settings:
            settings[family] = [*settings[family], _FONT]  # has the letters that a user's font may lack
    return settings


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure of that many inches, unknown to pyplot, under its title if it has one."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, y=1 - 0.05 / height, va="top")
    return figure


def colour(index: int) -> tuple[float, float, float]:
    """Return a colour of a palette made for colour-blind readers; it repeats after ten."""
    palette = sns.color_palette("colorblind")
    red, green, blue = palette[index % len(palette)]
    return red, green, blue


def mark(index: int) -> dict[str, Any]:
    """Return colour, marker and weight of the line of one of several curves."""
    return {"color": colour(index), "marker": MARKERS[index % len(MARKERS)], "linewidth": 1.0}


def sequential(share: float) -> tuple[float, float, float]:
    """Colour of a share in [0, 1] of a scale from light to dark, without what is too light to be seen on white."""
    red, green, blue, _ = mpl.colormaps["viridis"](0.88 * (1 - share))
    return red, green, blue


def plain(text: str, most: int = MAX_NAME) -> str:
    """Make a name from a results directory safe to draw: no formulas, no control or missing glyphs, not too long."""
    known = "".join(c if ord(c) in _glyphs() and c.isprintable() else "?" for c in " ".join(text.split()))
    short = known if len(known) <= most else known[: most - 1] + "…"
    return short.replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())
