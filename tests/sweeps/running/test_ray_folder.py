from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sweeps.running import ray_folder as module
from sweeps.running.ray_folder import LONGEST, ray_folder


@pytest.fixture
def short() -> Path:
    return Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))


def test_what_serves_is_left_to_ray(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    said: list[str] = []
    with ray_folder(said.append) as folder:
        assert folder is None
    assert said == []


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_long_path_is_replaced_by_a_short_one_and_said(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(long) if variable == "TMPDIR" else None)
    monkeypatch.setenv(variable, str(long))
    said: list[str] = []
    with ray_folder(said.append) as folder:
        assert folder is not None
        assert len(os.fsencode(folder)) <= LONGEST
        assert os.access(folder, os.W_OK)
        assert said == [f"Ray's temporary files go to {folder}: {long}/ray is too long for a socket's path"]
    assert not Path(folder).exists()


def test_another_users_folder_is_replaced(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so that the answer of the system is given here."""
    (short / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    monkeypatch.setattr(module.os, "access", lambda place, mode: Path(place) != short / "ray")  # type: ignore[attr-defined]
    said: list[str] = []
    with ray_folder(said.append) as folder:
        assert folder is not None
    assert f"{short}/ray cannot be written to" in said[0]


def test_where_there_is_none_the_setting_that_helps_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 60)))
    monkeypatch.setattr(module, "OTHERS", (str(tmp_path / "no"),))
    with pytest.raises(OSError, match="set RAY_TMPDIR to a folder of yours"), ray_folder(print):
        pass
