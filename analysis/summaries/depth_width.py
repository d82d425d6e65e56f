"""Active units over depth and width: blocks of cells, and a row for each place of their maps.

A block is a set of cells that differ in nothing but depth, width, rho and seed, so that no map ever joins two
experiments. A map is what a block holds at one rho: rho = 1 is the plain VAE. Only models whose stochastic layers are
all alike have a place in a map, and one place alone is no map. The width of maps (C, H, W) is C H W units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.curves import DATA, SETTINGS, Curve, curves
from analysis.words.curves import curve_in_words
from hvae_core.families.registry import recorded_model

STATES = ("failed", "diverged", "pending")
UNITS = ("au_top", "au_total", "au_path_top", "au_path_total")
MEDIANS = ("share_top", "share_mean", "elbo", "bits_per_dim", "kl_top")
COLUMNS = (
    *(*DATA, "hidden", *SETTINGS, "method", "rho", "depth", "width", "model", "n_seeds"),
    *(f"n_{state}" for state in STATES),
    *(column for name in UNITS for column in (name, f"{name}_fraction")),
    *MEDIANS,
)
_MAX_NAMED = 6


def active_units(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per place of every map of a tidy frame: medians over the complete seeds, and what is missing.

    A place is a depth and a width that any map of the block has. n_seeds counts complete cells; n_failed, n_diverged
    and n_pending the others, and all are 0 where no cell was asked for. au_* count active units of the top layer or
    of all, au_path_* those by the definition of one sampled path, each with its fraction of width or depth x width
    units. share_top is the part of the top layer's variation that the image explains, share_mean the mean over all
    layers. elbo and kl_top are in nats per example, measured unsmoothed; bits_per_dim is the ELBO's, where pixels have
    256 levels.
    """
    return depth_width_table([block for block in blocks(frame)[0] if len(block.complete)])


def blocks(frame: pd.DataFrame) -> tuple[list[Curve], list[str]]:
    """Split a tidy frame into blocks, without what has no place in a map, and a line on each thing left out.

    A block is a `Curve` with `Family.grid` for the model: rows that share all else, of every depth and width.
    """
    own = [name for name, family in _models(frame) if family == "own"]
    grids = {name: None if name in own else recorded_model(name, None, None).grid for name, _ in _models(frame)}
    others = [name for name, grid in grids.items() if grid is None]
    notes = [f"layers that are not all alike, so in no map: {some(others)}"] if others else []
    rows = frame[~frame["model"].isin(others)]
    named = rows.assign(name=rows["model"], model=[str(grids[str(name)]) for name in rows["model"]])
    found = []
    for block in curves(named):
        places = block.rows.groupby("rho")[["depth", "width"]].transform("nunique").max(axis=1)
        alone = block.rows[places == 1]
        if len(alone):
            values = some([f"{rho:g}" for rho in sorted(alone["rho"].unique())])
            notes.append(f"{curve_in_words(block)}: one depth and width alone is no map: ρ = {values}")
        if len(alone) < len(block.rows):
            found.append(Curve(block.key, block.rows[places > 1]))
    return found, notes


def _models(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(frame["model"], frame["family"], strict=True)))


def depth_width_table(group: Sequence[Curve]) -> pd.DataFrame:
    """Return the rows of `active_units` for these blocks."""
    return pd.DataFrame([row for block in group for row in _places(block)], columns=list(COLUMNS))


def _places(block: Curve) -> Iterator[dict[str, Any]]:
    """Yield the rows of a block's table: maps by falling rho, and in each map every depth with every width."""
    rows = _with_totals(block.rows.reset_index(drop=True))
    depths, widths = (sorted(int(value) for value in rows[name].unique()) for name in ("depth", "width"))
    hidden = int(block["model"].split()[-1])
    names = dict(zip(zip(rows["depth"], rows["width"], strict=True), rows["name"], strict=True))
    declared = {name: value for name, value in block.declared.items() if name != "model"}
    cells_at = rows.groupby(["rho", "depth", "width"]).groups
    for rho, method in sorted(set(zip(rows["rho"], rows["method"], strict=True)), reverse=True):
        for depth in depths:
            for width in widths:
                cells = rows.loc[cells_at.get((rho, depth, width), [])]
                complete = cells[cells["state"] == "complete"]
                row = {**declared, "hidden": hidden, "method": method, "rho": rho, "depth": depth, "width": width}
                row["model"] = names.get((depth, width), "")
                row["n_seeds"] = len(complete)
                row |= {f"n_{state}": int((cells["state"] == state).sum()) for state in STATES}
                for name in (*UNITS, *MEDIANS):
                    row[name] = float(complete[name].astype("float64").median()) if name in complete else math.nan
                for name in UNITS:
                    row[f"{name}_fraction"] = row[name] / (width if name.endswith("top") else depth * width)
                yield row


def _with_totals(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the units of the top and of all layers by both definitions, and the share; missing where one layer's is."""
    depth = rows["depth"].to_numpy(dtype="int64")
    layer = np.arange(depth.max())
    added = {}
    for prefix in ("au", "au_path"):
        units = rows[[f"{prefix}_{i + 1}" for i in layer]].astype("float64").to_numpy()
        added[f"{prefix}_top"] = units[np.arange(len(rows)), depth - 1]
        added[f"{prefix}_total"] = np.where(layer < depth[:, None], units, 0).sum(axis=1)
    known = rows.reindex(columns=[f"share_{i + 1}" for i in layer]).astype("float64").to_numpy()
    share = np.where(layer < depth[:, None], known, 0.0)
    added |= {"share_top": share[np.arange(len(rows)), depth - 1], "share_mean": share.sum(axis=1) / depth}
    return rows.assign(**added)


def some(names: Sequence[str]) -> str:
    """Name the first few, and count the rest."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
