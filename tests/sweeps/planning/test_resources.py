from __future__ import annotations

from sweeps.planning.resources import local_memory


def test_trials_share_the_memory() -> None:
    whole, half = local_memory(0, 1), local_memory(0, 2)
    assert whole
    assert half == whole // 2
