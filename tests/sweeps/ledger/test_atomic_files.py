"""Small files: on disk with their names, and set aside only as what they were judged to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweeps.ledger.atomic_files import set_aside, stamps, write_bytes


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_file_has_its_name_on_disk(durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content first, then the name, then the folder that holds the name."""
    done: list[str] = []
    replace = os.replace

    def renaming(name: str, path: Path) -> None:
        done.append("renamed")
        replace(name, path)

    monkeypatch.setattr(
        os, "fsync", lambda descriptor: done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    monkeypatch.setattr(os, "replace", renaming)
    (tmp_path / "staging").mkdir()
    write_bytes(tmp_path / "result.json", b"{}", durable=durable, staging=tmp_path / "staging")
    if durable:
        content, renamed, folder = done
        assert content.startswith(f"{tmp_path / 'staging'}/.result.json.")
        assert (renamed, folder) == ("renamed", str(tmp_path))
    else:
        assert done == ["renamed"]


def test_what_is_set_aside_is_kept_under_names_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for n in (1, 2):
        path.write_text(f"{n}")
        assert set_aside(path, stamps(tmp_path)[path]) == tmp_path / f"result.json.damaged-{n}"
        assert not path.exists()
    assert (tmp_path / "result.json.damaged-1").read_text() == "1"


def test_what_came_in_its_place_stays_and_what_has_gone_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("damaged")
    judged = stamps(tmp_path)[path]
    write_bytes(path, b"whole")
    assert set_aside(path, judged) is None
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert path.read_text() == "whole"
    path.unlink()
    assert set_aside(path, judged) is None


def test_a_linked_folder_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").touch()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    assert list(stamps(tmp_path / "near")) == [tmp_path / "near"]
    assert stamps(tmp_path / "nowhere") == {}
