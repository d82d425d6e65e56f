"""The collapse figure: maps of active units and of the ELBO over depth and width, the plain VAE above the HVAE.

One row of maps per rho: active units of the top layer, of all layers, and the test ELBO, which the paper says is
similar and does not show. The colour of a place is the *fraction* of its units that are active, because only that
compares widths, on one scale from 0 to 1; the number printed there is their *count*. Maps of their own for the counts
would show the widths once more and shrink all maps by half. Hatched places were not run, crossed ones failed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.axes import style
from analysis.axes.legend import wrapped
from analysis.axes.paper import DEFAULT, Paper

Quantity: TypeAlias = Literal["mean", "path", "share"]

MAX_RHOS = 5
MAX_PRINTED = 12  # depths; beyond, a page of digits would hide the pattern
MIN_POINTS, MAX_POINTS = 6.0, 6.5  # of the printed numbers; where only smaller ones would fit there are none
DEFINITIONS: dict[Quantity, str] = {"mean": "au", "path": "au_path", "share": "share"}
TITLES: dict[Quantity, str] = {
    "mean": "Active units over depth and width: Varₓ(E[μ | x]) > 0.01, sampling noise averaged out",
    "path": "Active units over depth and width: Varₓ(μ) > 0.01 on one sampled path, noise from below included",
    "share": "Share of the posterior mean's variation that the image explains, over depth and width",
}
SCALES: dict[Quantity, str] = {
    "mean": "fraction of units active",
    "path": "fraction of units active on one sampled path",
    "share": "share from the image",
}

_LEFT, _GAP, _BEFORE_ELBO, _RIGHT, _HEADING, _ROW_GAP = 0.76, 0.14, 0.24, 0.08, 0.22, 0.12  # inches, like all below
_XLABEL, _BAR, _BAR_LABEL, _LINE, _MARKS, _TICK = 0.42, 0.08, 0.38, 0.125, 0.17, 0.15
_EMPTY: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.65", "linewidth": 0.5}
_CROSS: dict[str, Any] = {"linestyle": "", "marker": "x", "color": "0.2", "markersize": 5, "markeredgewidth": 0.9}
_CORNER: dict[str, Any] = {
    **{"linestyle": "", "marker": [(-1, 0), (0, 0), (0, -1)], "markersize": 9, "markeredgewidth": 0.4},
    **{"markerfacecolor": "black", "markeredgecolor": "white"},
}


@dataclass(frozen=True)
class Column:
    """One column of maps: which number is printed, which one colours, and on what scale."""

    name: str
    colour: str
    heading: str
    cmap: Colormap
    norm: Normalize

    def written(self, value: float, decimals: int) -> str:
        """Write a number; a whole count without a point."""
        text = f"{value:.{decimals}f}".replace("-", "−")
        return text if self.name == "elbo" else text.removesuffix(".0")

    def fit(self, table: pd.DataFrame, width: float, height: float) -> tuple[int, float] | None:
        """Choose decimals and size in points with which every number fits a place (inches); None if none will do."""
        choices = (0,) if self.name.endswith("_percent") else (1, 0)
        for decimals in choices if table["depth"].nunique() <= MAX_PRINTED else ():
            texts = [self.written(value, decimals) for value in table[self.name].dropna()]
            shapes = {re.sub(r"\d", "0", text) for text in texts} or {"0"}  # few to measure: digits are of one width
            paths = [TextPath((0, 0), shape, size=1, prop=FontProperties()) for shape in shapes]
            widest = max(path.get_extents().width for path in paths)
            points = min(MAX_POINTS, 72 * 0.8 * width / widest, 72 * 0.75 * height)
            if points >= MIN_POINTS:
                return decimals, float(points)
        return None


def draw_collapse(
    table: pd.DataFrame, words: Sequence[str], *, quantity: Quantity = "mean", paper: Paper = DEFAULT
) -> Figure:
    """Draw the maps of one block, from its rows of `active_units`: on a page, or in a column without the ELBO.

    `words` say its data and settings, beneath the maps. `quantity` is what
    is drawn: active units, averaged over paths (mean) or on one (path), or the share from the image.
    """
    across = paper.inches("page")
    title = paper.titled(TITLES[quantity], across)
    shown = table[table["rho"].isin(rhos_drawn(table))]
    shown = shown.assign(**{f"{name}_percent": 100 * shown[name] for name in ("share_top", "share_mean")})
    maps = [rows for _, rows in shown.groupby("rho")][::-1]
    depths, widths = (sorted(int(value) for value in shown[name].unique()) for name in ("depth", "width"))
    high = min(max(0.2 * len(widths), 0.8), 2.4)
    with paper.style():
        marks = _marks(shown)
        text = wrapped([style.plain(word) for word in words], across - 0.2)
        top = _HEADING + (0.2 if title else 0.0) + (0.14 if across == style.COLUMN_INCHES else 0.0)
        end = top + len(maps) * (high + _ROW_GAP) - _ROW_GAP
        rows_of_marks = bool(marks) if across > style.COLUMN_INCHES else len(marks)
        label = _BAR_LABEL + (_LINE if across == style.COLUMN_INCHES else 0.0)
        below = _XLABEL + _BAR + label + _LINE * (text.count("\n") + 1) + rows_of_marks * _MARKS + 0.06
        figure = style.new_figure(across, end + below, title)
        lefts, wide = _places(across)
        columns = _columns(shown, quantity)[: len(lefts)]
        fits = [column.fit(shown, wide / len(depths), high / len(widths)) for column in columns]
        for left, column, fit in zip(lefts, columns, fits, strict=True):
            for i, rows in enumerate(maps):
                ax = _axes(figure, column.name, left, top + i * (high + _ROW_GAP), wide, high)
                _draw_map(ax, rows, column)
                _draw_missing(ax, rows)
                _print_numbers(ax, rows, column, fit)
                _label_places(ax, depths, wide, widths, high)
                ax.tick_params(length=0, labelleft=left == _LEFT, labelbottom=i == len(maps) - 1)
                if i == 0:
                    ax.set_title(column.heading if len(lefts) > 2 else column.heading.replace(", ", ",\n"), pad=4)
                if left == _LEFT:
                    _name_row(ax, float(rows["rho"].iloc[0]), wide)
            ax.set_xlabel("depth (stochastic layers)" if len(lefts) > 2 else "depth", labelpad=2)
        bar = end + _XLABEL
        what = "percent" if quantity == "share" else "their number"
        between = " " if len(lefts) > 2 else "\n"
        printed = f"{between}({what} is printed)" if fits[0] else ""
        _draw_scale(_axes(figure, "scale", _LEFT, bar, 2 * wide + _GAP, _BAR), columns[0], SCALES[quantity] + printed)
        for left, column in zip(lefts[2:], columns[2:], strict=True):
            _draw_scale(_axes(figure, "scale", left, bar, wide, _BAR), column, column.heading)
        _write_words(figure, text, marks)
    return figure


def _places(across: float) -> tuple[tuple[float, ...], float]:
    """Return where columns of maps begin, in inches, and how wide they are: three on a page, two in a column."""
    if across == style.COLUMN_INCHES:
        wide = (across - _LEFT - _GAP - _RIGHT) / 2
        return (_LEFT, _LEFT + wide + _GAP), wide
    wide = (across - _LEFT - _GAP - _BEFORE_ELBO - _RIGHT) / 3
    return (_LEFT, _LEFT + wide + _GAP, _LEFT + 2 * wide + _GAP + _BEFORE_ELBO), wide


def rhos_drawn(table: pd.DataFrame) -> list[float]:
    """Rho values that have maps in a block's figure: all up to five; of more, five spread over those well filled."""
    asked = table[table[["n_seeds", "n_failed", "n_diverged", "n_pending"]].sum(axis=1) > 0]
    places = asked.groupby("rho").size()
    rhos = [float(rho) for rho in places.index]
    if len(rhos) > MAX_RHOS:
        rhos = [rho for rho in rhos if places[rho] >= places.max() / 2]
    chosen = np.linspace(0, len(rhos) - 1, min(MAX_RHOS, len(rhos))).round()
    return [rhos[int(i)] for i in chosen]


def ink_on(colour: Sequence[float]) -> str:
    """Return black or white: what has the higher contrast (as in WCAG 2), at least 4.5 on every colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def _columns(table: pd.DataFrame, quantity: Quantity) -> list[Column]:
    """Describe the columns; the ELBO has the range of all maps, and colours that cannot be taken for a fraction."""
    elbo = table["elbo"].dropna()
    low, high = (float(elbo.min()), float(elbo.max())) if len(elbo) else (-1.0, 0.0)
    middle = Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)
    # No grey is darker than half: black numbers stand out on all of them, where on a middle grey neither ink does.
    viridis, greys = mpl.colormaps["viridis"], ListedColormap(mpl.colormaps["Greys"](np.linspace(0.05, 0.5, 256)))
    share, prefix, last = (
        Normalize(0, 1),
        DEFINITIONS[quantity],
        Column("elbo", "elbo", "test ELBO (nats)", greys, middle),
    )
    if quantity == "share":
        return [
            Column("share_top_percent", "share_top", "share from the image, top layer", viridis, share),
            Column("share_mean_percent", "share_mean", "mean over all layers", viridis, share),
            last,
        ]
    top, total = f"{prefix}_top", f"{prefix}_total"
    return [
        Column(top, f"{top}_fraction", "active units, top layer", viridis, share),
        Column(total, f"{total}_fraction", "active units, all layers", viridis, share),
        last,
    ]


def _axes(figure: Figure, label: str, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes that start so many inches from the left and from the top of the figure."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down), label=label)


def _draw_map(ax: Axes, rows: pd.DataFrame, column: Column) -> None:
    """Colour the places: a mesh, which stays vector graphics, where some viewers would blur an image."""
    values = rows.pivot(index="width", columns="depth", values=column.colour).sort_index().sort_index(axis="columns")
    numbers: NDArray[np.float64] = values.to_numpy(dtype="float64")
    edges = [np.arange(n + 1) - 0.5 for n in numbers.shape]
    masked = np.ma.masked_invalid(numbers)
    mesh = ax.pcolormesh(edges[1], edges[0], masked, cmap=column.cmap, norm=column.norm, edgecolors="white")
    mesh.set(gid="map", linewidth=0.5)
    ax.spines[:].set_visible(False)


def _draw_missing(ax: Axes, rows: pd.DataFrame) -> None:
    """Hatch the places that were not run, cross those where all failed, mark a corner where some seeds did."""
    for x, y, row in _by_place(rows):
        state = _state(row)
        if state in ("not run", "failed"):
            hatch = "/////" if state == "not run" else None
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, hatch=hatch, gid=state, **_EMPTY))
        if state == "failed":
            ax.plot([x], [y], gid="cross", **_CROSS)
        if state == "some failed":
            ax.plot([x + 0.5], [y + 0.5], gid="corner", **_CORNER)


def _print_numbers(ax: Axes, rows: pd.DataFrame, column: Column, fit: tuple[int, float] | None) -> None:
    """Print the number of each place; a question mark where a complete cell lacks it."""
    for x, y, row in _by_place(rows):
        lacking = bool(np.isnan(row[column.name]))
        if row["n_seeds"] and (fit or lacking):
            decimals, points = fit or (0, MIN_POINTS)
            text = "?" if lacking else column.written(row[column.name], decimals)
            ink = "black" if lacking else ink_on(column.cmap(column.norm(row[column.colour])))
            ax.text(x, y, text, ha="center", va="center_baseline", fontsize=points, color=ink, gid="number")


def _by_place(rows: pd.DataFrame) -> Iterator[tuple[int, int, pd.Series[Any]]]:
    """Yield the rows of a map, each with its position along depth and along width."""
    depths, widths = (sorted(rows[name].unique()) for name in ("depth", "width"))
    for _, row in rows.iterrows():
        yield depths.index(row["depth"]), widths.index(row["width"]), row


def _state(row: pd.Series[Any]) -> str:
    failed = row["n_failed"] + row["n_diverged"] > 0
    if row["n_seeds"]:
        return "some failed" if failed else "complete"
    return "failed" if failed else "not run"


def _marks(table: pd.DataFrame) -> dict[str, Artist]:
    """Return the marks that the maps hold, by what they mean."""
    states = {_state(row) for _, row in table.iterrows()}
    marks: dict[str, tuple[str, Artist]] = {
        "not run": ("not run", Patch(hatch="/////", **_EMPTY)),
        "failed": ("failed or diverged", Line2D([], [], **_CROSS)),
        "some failed": ("some seeds failed or diverged: median of the others", Line2D([], [], **_CORNER)),
    }
    return {words: handle for state, (words, handle) in marks.items() if state in states}


def _label_places(ax: Axes, depths: Sequence[int], width: float, widths: Sequence[int], height: float) -> None:
    """Label places with their depth and width, leaving out labels that would not fit."""
    for axis, values, room in ((ax.xaxis, depths, width), (ax.yaxis, widths, height)):
        step = math.ceil(len(values) * _TICK / room)
        axis.set_major_locator(FixedLocator(range(0, len(values), step)))
        axis.set_major_formatter(FixedFormatter([str(value) for value in values[::step]]))


def _name_row(ax: Axes, rho: float, wide: float) -> None:
    """Say the method and its rho left of a row of maps."""
    ax.set_ylabel("units per layer")
    ax.yaxis.set_label_coords(-0.3 / wide, 0.5)
    name = f"{'VAE' if rho == 1 else 'HVAE'}\nρ = {rho:g}"
    heading = ax.text(-0.59 / wide, 0.5, name, transform=ax.transAxes, rotation=90, ha="center", va="center")
    heading.set(gid="row", fontweight="bold", linespacing=1.1)


def _draw_scale(ax: Axes, column: Column, label: str) -> None:
    """Draw the scale of a column of maps as a horizontal bar."""
    bar = ax.figure.colorbar(ScalarMappable(column.norm, column.cmap), cax=ax, orientation="horizontal", label=label)
    if bar.solids is not None:
        bar.solids.set(edgecolor="face", rasterized=False)  # vector graphics, without hairlines between the colours
    if column.name == "elbo":
        bar.locator = MaxNLocator(4)
        bar.update_ticks()
    else:
        bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "0.25", "0.5", "0.75", "1"])


def _write_words(figure: Figure, text: str, marks: dict[str, Artist]) -> None:
    """Write what the marks mean, and below it what the maps are of."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 0.06 / height, text, va="bottom", fontsize=style.SMALL_POINTS, gid="words")
    if marks:
        anchor = (0.1 / width, (0.06 + _LINE * (text.count("\n") + 1)) / height)
        near = {"borderpad": 0.2, "borderaxespad": 0.0, "handletextpad": 0.6}
        handles, labels = list(marks.values()), list(marks)
        figure.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=anchor,
            ncols=len(marks) if width > style.COLUMN_INCHES else 1,
            frameon=False,
            **near,
        )
