from __future__ import annotations

import pandas as pd
import pytest

from analysis.frames.gather import GatherError
from analysis.frames.select import keep_only

FRAME = pd.DataFrame(
    {
        "dataset": ["mnist", "mnist", "omniglot"],
        "source": ["grey", "embedded", "lake"],
        "model": ["mlp4x40", "mlp2x8", "mlp4x40"],
        "rho": [0.3, 0.9, 1.0],
    }
)


@pytest.mark.parametrize(
    ("datasets", "models", "rhos", "rows"),
    [
        ((), (), (), [0, 1, 2]),
        (("mnist",), (), (), [0, 1]),
        (("mnist:lake", "mnist:grey"), (), (), None),
        (("omniglot:lake", "mnist:grey"), (), (), [0, 2]),
        ((), ("mlp4x40",), (), [0, 2]),
        (("mnist",), ("mlp4x40",), (), [0]),
        ((), (), (0.1 + 0.2, 1), [0, 2]),
    ],
)
def test_what_is_named_is_kept(
    datasets: tuple[str, ...], models: tuple[str, ...], rhos: tuple[float, ...], rows: list[int] | None
) -> None:
    if rows is None:
        with pytest.raises(GatherError, match="datasets: 'mnist:lake' is not in these results, which hold mnist:grey"):
            keep_only(FRAME, datasets, models, rhos)
    else:
        assert keep_only(FRAME, datasets, models, rhos).index.tolist() == rows


@pytest.mark.parametrize(("option", "value"), [("models", ("mlp9x9",)), ("rhos", (0.31,))])
def test_what_no_row_has_is_named(option: str, value: tuple[object, ...]) -> None:
    given: dict[str, tuple[object, ...]] = {"models": (), "rhos": (), option: value}
    with pytest.raises(GatherError, match=r"is not in these results, which hold"):
        keep_only(FRAME, (), given["models"], given["rhos"])  # type: ignore[arg-type]
