"""From results directories to the collapse figure on disk: active units over depth and width, as in Figure 3.

A block is a set of cells that differ in nothing but depth, width, rho and seed; each block is a figure of its own, so
no map ever joins two experiments. A map is what a block holds at one rho: rho = 1 is the plain VAE. Only mlp models
whose stochastic layers all have one width have a place in a map, and one place alone is no map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.figures.collapse import DEFINITIONS, MAX_RHOS, Active, draw_collapse, rhos_drawn
from analysis.frames.curves import DATA, SETTINGS, Curve, curve_in_words, curves, curves_in_words, settings
from analysis.frames.gather import GatherError, gather
from analysis.frames.select import keep_only
from analysis.reports.report import Report
from analysis.words.incomplete import incomplete, require_complete
from analysis.words.printed import printed
from hvae_core.families.mlp import MLP

NAME = "collapse"
STATES = ("failed", "diverged", "pending")
UNITS = ("au_top", "au_total", "au_path_top", "au_path_total")
COLUMNS = (
    *(*DATA, "hidden", *SETTINGS, "method", "rho", "depth", "width", "model", "n_seeds"),
    *(f"n_{state}" for state in STATES),
    *(column for name in UNITS for column in (name, f"{name}_fraction")),
    *("elbo", "kl_top"),
)
SAID = ("dataset", "source", "binarise", "hidden", "ou_samples", "steps", "rho", "depth", "width", "n_seeds")
_MAX_FILE_NAME, _MAX_NAMED = 100, 6


def collapse(
    directories: Sequence[Path],
    out: Path | None = None,
    formats: Sequence[str] = ("png", "pdf"),
    title: bool = True,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    active: Active = "mean",
    rhos: Sequence[float] = (),
) -> Report:
    """Gather results directories and write one figure per block, to `<first directory>/figures` unless `out` differs.

    One block is `collapse.<format>`; several are `collapse-<dataset>.<format>`, with what else tells them apart.
    `collapse.csv` holds the numbers of all. `datasets` (each `name` or `name:source`), `models` and `rhos` keep only
    those; none keeps all. `active` chooses the definition that is drawn: au_i (mean) or au_path_i (path). Raises
    GatherError where there is nothing to plot, ValueError for an unknown format or definition, OSError where nothing
    can be written.
    """
    if active not in DEFINITIONS:
        raise ValueError(f"active: {active!r} is not allowed; it must be {' or '.join(DEFINITIONS)}")
    gathered = gather(directories)
    frame = keep_only(gathered.frame, datasets, models, rhos)
    require_complete(frame)
    every, notes = blocks(frame)
    drawn = [block for block in every if len(block.complete)]
    tables = [_table([block]) for block in drawn]
    notes += incomplete(every) + _of_maps(drawn, tables)
    if not drawn:
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise GatherError(f"nothing to plot: no depth-width grid has a complete cell: {notes[0]}{more}")
    directory = directories[0] / "figures" if out is None else out
    whole, files = _table(drawn), list[Path]()
    for table, name, words in zip(tables, _file_names(drawn), _words(drawn), strict=True):
        figure = draw_collapse(table, words, active=active, title=title)
        behind = {NAME: whole} if table is tables[-1] else {}
        files += style.write_files(figure, directory, name, formats, behind)
    units = [f"{DEFINITIONS[active]}_{name}" for name in ("top", "top_fraction", "total", "total_fraction")]
    return Report(files, gathered.notes + notes, whole, printed(whole, (*SAID, *units, "elbo")))


def active_units(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per place of every map of a tidy frame: medians over the complete seeds, and what is missing.

    A place is a depth and a width that any map of the block has. n_seeds counts complete cells; n_failed, n_diverged
    and n_pending the others, and all are 0 where no cell was asked for. au_* count active units of the top layer or
    of all, au_path_* those by the definition of one sampled path, each with its fraction of width or depth x width
    units. elbo and kl_top are in nats per example, measured unsmoothed.
    """
    return _table([block for block in blocks(frame)[0] if len(block.complete)])


def blocks(frame: pd.DataFrame) -> tuple[list[Curve], list[str]]:
    """Split a tidy frame into blocks, without what has no place in a map, and a line on each thing left out.

    A block is a `Curve` with `hidden <units>` for the model: rows that share all else, of every depth and width.
    """
    specs = {name: MLP.parse(name) if family == "mlp" else None for name, family in _models(frame)}
    uniform = {name: spec for name, spec in specs.items() if spec is not None and len(set(spec.widths)) == 1}
    others = [name for name in specs if name not in uniform]
    notes = [f"not an mlp with layers of one width, so in no map: {_some(others)}"] if others else []
    rows = frame[frame["model"].isin(list(uniform))]
    named = rows.assign(model=[f"hidden {uniform[str(name)].hidden[0]}" for name in rows["model"]])
    found = []
    for block in curves(named):
        places = block.rows.groupby("rho")[["depth", "width"]].transform("nunique").max(axis=1)
        alone = block.rows[places == 1]
        if len(alone):
            values = _some([f"{rho:g}" for rho in sorted(alone["rho"].unique())])
            notes.append(f"{curve_in_words(block)}: one depth and width alone is no map: ρ = {values}")
        if len(alone) < len(block.rows):
            found.append(Curve(block.key, block.rows[places > 1]))
    return found, notes


def _models(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(frame["model"], frame["family"], strict=True)))


def _table(group: Sequence[Curve]) -> pd.DataFrame:
    return pd.DataFrame([row for block in group for row in _places(block)], columns=list(COLUMNS))


def _places(block: Curve) -> Iterator[dict[str, Any]]:
    """Yield the rows of a block's table: maps by falling rho, and in each map every depth with every width."""
    rows = _with_totals(block.rows.reset_index(drop=True))
    depths, widths = (sorted(int(value) for value in rows[name].unique()) for name in ("depth", "width"))
    hidden = int(block["model"].split()[-1])
    declared = {name: value for name, value in block.declared.items() if name != "model"}
    cells_at = rows.groupby(["rho", "depth", "width"]).groups
    for rho, method in sorted(set(zip(rows["rho"], rows["method"], strict=True)), reverse=True):
        for depth in depths:
            for width in widths:
                cells = rows.loc[cells_at.get((rho, depth, width), [])]
                complete = cells[cells["state"] == "complete"]
                row = {**declared, "hidden": hidden, "method": method, "rho": rho, "depth": depth, "width": width}
                row["model"] = MLP((width,) * depth, (hidden,) * depth).name
                row["n_seeds"] = len(complete)
                row |= {f"n_{state}": int((cells["state"] == state).sum()) for state in STATES}
                for name in (*UNITS, "elbo", "kl_top"):
                    row[name] = float(complete[name].astype("float64").median())
                for name in UNITS:
                    row[f"{name}_fraction"] = row[name] / (width if name.endswith("top") else depth * width)
                yield row


def _with_totals(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the units of the top and of all layers by both definitions; missing where that of one layer is."""
    depth = rows["depth"].to_numpy(dtype="int64")
    layer = np.arange(depth.max())
    added = {}
    for prefix in ("au", "au_path"):
        units = rows[[f"{prefix}_{i + 1}" for i in layer]].astype("float64").to_numpy()
        added[f"{prefix}_top"] = units[np.arange(len(rows)), depth - 1]
        added[f"{prefix}_total"] = np.where(layer < depth[:, None], units, 0).sum(axis=1)
    return rows.assign(**added)


def _words(group: Sequence[Curve]) -> list[list[str]]:
    """Say for each block its data, its model and its settings, those that all share included, and its seeds."""
    shared, own = curves_in_words(group)
    said = []
    for block, (data, content, *rest) in zip(group, own, strict=True):
        # A curve counts seeds per rho; here each place of a map has its own number of them.
        known = [words for words in (*shared, *rest) if words != block.seeds]
        counts = block.complete.groupby(["rho", "depth", "width"])["seed"].nunique()
        low, high = int(counts.min()), int(counts.max())
        seeds = f"{high} seed{'s' if high > 1 else ''}" if low == high else f"{low}–{high} seeds"
        said.append([data, content, block["model"], *known, f"median of {seeds}" if high > 1 else seeds])
    return said


def _file_names(group: Sequence[Curve]) -> list[str]:
    """Name the figures: `collapse`, or `collapse-<dataset>` and as few other words as tell several blocks apart."""
    if len(group) == 1:
        return [NAME]
    said = [settings(block) for block in group]
    columns = [
        [block["dataset"] for block in group],
        [block["source"] for block in group],
        [block["model"] for block in group],
        *([each[name] for each in said] for name in said[0] if name != "seeds"),
        [block.content for block in group],
    ]
    names = [NAME] * len(group)
    for i, column in enumerate(columns):
        longer = [f"{name}-{_slug(words)}"[:_MAX_FILE_NAME] for name, words in zip(names, column, strict=True)]
        if i == 0 or len(set(longer)) > len(set(names)):
            names = longer
    counts = [names[:i].count(name) + 1 for i, name in enumerate(names)]
    return [name if count == 1 else f"{name}-{count}" for name, count in zip(names, counts, strict=True)]


def _slug(words: str) -> str:
    """Make words safe for a file name, also where case does not count."""
    return re.sub(r"[^a-z0-9.]+", "-", words.lower().replace(",", "").replace(" = ", "")).strip("-.") or "x"


def _of_maps(drawn: Sequence[Curve], tables: Sequence[pd.DataFrame]) -> list[str]:
    """One line per block that lacks the plain VAE, has holes in its maps, or more maps than a figure shows."""
    notes = []
    for block, table in zip(drawn, tables, strict=True):
        name, rhos = curve_in_words(block), sorted(float(rho) for rho in table["rho"].unique())
        if 1 not in rhos:
            notes.append(f"{name}: no map of the plain VAE, no cells of ρ = 1")
        holes = int((table[["n_seeds", *(f"n_{state}" for state in STATES)]].sum(axis=1) == 0).sum())
        if holes:
            notes.append(f"{name}: no cell was asked for at {holes} of {len(table)} places of its maps")
        shown = rhos_drawn(table)
        left = _some([f"{rho:g}" for rho in rhos if rho not in shown])
        if left:
            notes.append(f"{name}: a figure shows {MAX_RHOS} maps; left out: ρ = {left} (choose with --rho)")
    return notes


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
