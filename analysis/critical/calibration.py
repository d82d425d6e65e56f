"""Linear models' curves against their closed form: critical rho and top KL, measured and exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.critical.linear import critical_rho, top_kl
from analysis.critical.table import Measured, verdict
from analysis.frames.curves import CURVE, Curve, curves
from hvae_core.families.linear import Linear
from sweeps.options.calibration import CHECKSUM

NUMBERS = (
    *("exact_first", "exact_last", "rho_critical", "interval90_low", "interval90_high", "holds"),
    *("kl_error_rms", "kl_error_largest", "rounding", "resolution"),
)
COLUMNS = (*CURVE, "modes", "n_rho", "n_seeds", *NUMBERS, "kind", "verdict")
CELL_COLUMNS = (*CURVE, "rho", "seed", "kl_top", "kl_exact")


def calibration_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the complete cells of solved linear models with the exact top KL beside the measured one, in nats."""
    found = [(curve, _family(curve)) for curve in curves(frame[frame["state"] == "complete"])]
    tables = [
        curve.rows.assign(kl_exact=_exact(curve, family, curve.rows["rho"].to_numpy(dtype=float)))
        for curve, family in found
        if family is not None
    ]
    if not tables:
        return pd.DataFrame(columns=list(CELL_COLUMNS))
    return pd.concat(tables, ignore_index=True).reindex(columns=list(CELL_COLUMNS))


def calibration_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (COLUMNS) per curve of a solved linear model.

    exact_first, exact_last: the critical rho of its first and of its last mode. holds: whether the interval holds the
    first, empty where no value is given. kl_error: measured - exact top KL over cells, in nats.
    """
    rows = []
    for curve in curves(frame[frame["state"] == "complete"]):
        family = _family(curve)
        if family is not None:
            rows.append({**curve.declared, **_row(Measured.of(curve), family)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(measured: Measured, family: Linear) -> dict[str, Any]:
    found, curve = measured.estimate(), measured.curve
    first, last = (_threshold(curve, end(family.ratios)) for end in (max, min))
    errors = (measured.by_seed - _exact(curve, family, measured.rho))[~np.isnan(measured.by_seed)]
    return {
        **{"modes": len(family.ratios), "n_rho": len(measured.rho), "n_seeds": len(measured.seeds)},
        **{"exact_first": first, "exact_last": last},
        **{"rho_critical": found.rho, "interval90_low": found.low, "interval90_high": found.high},
        "holds": ("yes" if found.low <= first <= found.high else "no") if found.has_value else "",
        "kl_error_rms": float(np.sqrt(np.mean(errors**2))),
        "kl_error_largest": float(errors[np.abs(errors).argmax()]),
        **{"rounding": found.rounding, "resolution": found.gap},
        **{"kind": found.kind, "verdict": verdict(measured, found)},
    }


def _family(curve: Curve) -> Linear | None:
    """Return the family of a curve whose closed form is known: on the fair coins, with the objective that is solved."""
    solved = curve["checksum"] == CHECKSUM and curve["free_bits"] is None and curve["iwae_k"] == 1
    return curve.model if solved and curve.kl_weight == 1 and isinstance(curve.model, Linear) else None


def _threshold(curve: Curve, ratio: float) -> float:
    return critical_rho(ratio, curve["ou_samples"], curve["beta_top"])


def _exact(curve: Curve, family: Linear, rho: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    return top_kl(rho, family.ratios, curve["ou_samples"], curve["beta_top"])
