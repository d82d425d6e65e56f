from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.grid.sweep_spec import SweepSpec
from sweeps.planning.pack_options import PackOptions
from sweeps.planning.plan import request_entry


@pytest.mark.parametrize(
    ("asked", "device", "threads"), [(1, "cpu", 1), (2, "cpu", 2), (2, "cuda", 1), (10**9, "cpu", 3)]
)
def test_a_worker_computes_on_the_cores_that_the_request_gives_a_trial(
    spec: SweepSpec, monkeypatch: pytest.MonkeyPatch, asked: int, device: str, threads: int
) -> None:
    monkeypatch.setattr("sweeps.planning.pack_options.usable_cpus", lambda: 3)
    entry = request_entry(spec, [], {"cpus_per_trial": asked})
    assert PackOptions.of(Path("results"), entry, device).threads == threads
