"""The settings of a curve in words."""

from __future__ import annotations

from analysis.frames.curves import CURVE, Curve
from sweeps.grid.declared import BY_NAME

NAMED = tuple(name for name in CURVE if BY_NAME[name].label is not None)
ALWAYS_NAMED = (*(name for name in NAMED if BY_NAME[name].legend == "always"), "seeds")


def settings(curve: Curve) -> dict[str, str]:
    """Say each setting of a curve in a few words, in the order in which a legend names them, and its seeds."""
    words = {name: label(curve[name]) for name in NAMED if (label := BY_NAME[name].label) is not None}
    return {**words, "seeds": curve.seeds}


def conditions(curve: Curve) -> str:
    """Say how a curve's cells were trained, on one line."""
    words = settings(curve)
    named = [name for name in NAMED if name != "binarise" and BY_NAME[name].is_hashed(curve[name])]
    return ", ".join(words[name] for name in named)
