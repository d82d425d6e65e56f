from __future__ import annotations

import torch
from scipy.stats import kstest

from hvae_core.streams import SeedStreams, stream


def test_streams_differ_by_seed_and_by_purpose_and_repeat() -> None:
    keys: list[tuple[int, tuple[str | int, ...]]]
    keys = [(0, ("a",)), (1, ("a",)), (0, ("b",)), (0, ("a", 1)), (2**63 - 1, ("a",))]
    draws = [torch.rand(4, generator=stream(seed, *purpose)) for seed, purpose in keys]
    assert len({tuple(d.tolist()) for d in draws}) == len(keys)
    assert torch.equal(draws[0], torch.rand(4, generator=stream(0, "a")))


def test_neighbouring_seeds_are_unrelated() -> None:
    """Normals across 2,000 neighbouring seeds, first draw of each: standard normal, uncorrelated at lag 1."""
    first = torch.tensor([torch.randn(1, generator=stream(seed, "noise"), dtype=torch.float64) for seed in range(2000)])
    assert kstest(first.numpy(), "norm").pvalue > 1e-3
    assert abs(float(torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1])) < 0.08


def test_members_get_their_seeds_draw() -> None:
    streams = SeedStreams([5, 3, 5], "noise")
    drawn = streams.normal(4, dtype=torch.float64)
    assert drawn.shape == (3, 4)
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], SeedStreams([3], "noise").normal(4, dtype=torch.float64)[0])
    assert SeedStreams([5, 5], "noise").normal(4, dtype=torch.float64).shape == (1, 4), "one seed is broadcast"


def test_state_continues_the_draws() -> None:
    streams = SeedStreams([0, 1], "noise")
    streams.normal(3, dtype=torch.float32)
    state = streams.state()
    expected = streams.uniform(3, dtype=torch.float32)
    fresh = SeedStreams([0, 1], "noise")
    fresh.restore(state)
    assert torch.equal(fresh.uniform(3, dtype=torch.float32), expected)
