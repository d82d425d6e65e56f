"""What all tests share: one thread, no configuration from outside, small data sets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hvae_core.data import Dataset, load_dataset

WAITING = (("running", "test_worker.py"), ("sweeps", "test_interruptions.py"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, one process takes what starts rays, schedulers or workers, one at a time; others take files."""

    def waits(item: pytest.Item) -> bool:
        return (
            item.get_closest_marker("ray") is not None
            or item.path.parts[-2:] in WAITING
            or "cluster" in item.path.parts
        )

    items.sort(key=waits, reverse=True)  # first, or they would be left for last
    for item in items:
        item.add_marker(pytest.mark.xdist_group("waits" if waits(item) else str(item.path)))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith("HVAE_") or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 unless said: tests that run beside would starve them
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def write_images() -> Callable[..., Path]:
    """Write a small npz of structured binary images: bars whose row and column are the latent causes."""

    def write(path: Path, side: int = 4, train: int = 60, test: int = 30, grey: bool = False) -> Path:
        rng = np.random.default_rng(3)

        def images(count: int) -> np.ndarray:
            canvas = np.zeros((count, side, side), np.uint8)
            canvas[np.arange(count), rng.integers(side, size=count)] = 1
            canvas[np.arange(count), :, rng.integers(side, size=count)] = 1
            canvas ^= rng.random(canvas.shape) < 0.05
            return canvas * 200 if grey else canvas

        np.savez(path, train=images(train), valid=images(test), test=images(test))
        return path

    return write


@pytest.fixture
def bars(write_images: Callable[..., Path], tmp_path: Path) -> Dataset:
    """4x4 binary images, 60 to train, 30 each to validate and test."""
    return load_dataset(str(write_images(tmp_path / "bars.npz")))
