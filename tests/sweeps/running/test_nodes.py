from __future__ import annotations

from pathlib import Path

from sweeps.running.nodes import SAME, Seen, differences, leave_marker, look, own_versions


def test_a_node_like_this_one_is_no_trouble(tmp_path: Path) -> None:
    token = leave_marker(tmp_path)
    seen = look(str(tmp_path), "10.0.0.1")
    assert set(seen.versions) == set(SAME)
    assert differences(tmp_path, token, own_versions(), [seen, seen]) == []


def test_every_node_that_differs_has_a_line(tmp_path: Path) -> None:
    token = leave_marker(tmp_path)
    here = own_versions()
    blind = look(str(tmp_path / "nothing"), "10.0.0.2")
    leave_marker(tmp_path)
    stale = look(str(tmp_path), "10.0.0.3")
    old = Seen("10.0.0.4", "gpu4", token, {**here, "python": "3.1"} | {"torch": "0.1"})
    bare = Seen("10.0.0.5", "gpu5", token, {name: here[name] for name in SAME if name != "ray"})
    lines = differences(tmp_path, token, here, [blind, stale, old, bare])
    assert [line.split()[1] for line in lines] == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]
    assert all(f"does not see {tmp_path}" in line for line in lines[:2]), "another marker is another file system"
    assert f"(gpu4) has python 3.1 (here {here['python']}), torch 0.1 (here {here['torch']})" in lines[2]
    assert "(gpu5) has ray missing (here " in lines[3]
