from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hvae_core.data import load_dataset
from sweeps.grid.sweep_spec import DataSource, SweepSpec
from sweeps.ledger.ledger import Ledger
from sweeps.planning.pack_options import PackOptions, load_data, options_by_data
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


def test_two_files_of_one_content_are_each_recorded_under_their_own_path(
    ledger: Ledger, spec: SweepSpec, write_images: Callable[..., Path], tmp_path: Path
) -> None:
    one = write_images(tmp_path / "one.npz")
    other = Path(shutil.copy(one, tmp_path / "other.npz"))
    both = replace(spec, data=tuple(DataSource.of(str(path), load_dataset(str(path))) for path in (one, other)))
    entry = request_entry(both, [], {})
    options = PackOptions.of(ledger.root, entry)
    loaded = {cell.dataset: load_data(options, cell).reference for cell in both.cells()}
    assert loaded == {"one": str(one), "other": str(other)}
    for data in both.data:
        ledger.add_request(request_entry(replace(both, data=(data,)), [], {}), [])
    later = options_by_data(ledger)
    assert {
        name: load_data(later[name, cell.checksum], cell).reference for cell in both.cells() if (name := cell.dataset)
    } == loaded
