from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from hvae_core.training.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint


def steps(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_two_generations_are_kept_and_the_newest_read(tmp_path: Path) -> None:
    for step in (5, 90, 100):
        save_checkpoint(tmp_path, step, {"of": "this", "step": step, "w": torch.full((2,), float(step))})
    assert steps(tmp_path) == ["checkpoint-100", "checkpoint-90"]
    said = list[str]()
    state = load_checkpoint(tmp_path, "this", said.append)
    assert state is not None
    assert not said
    assert state["step"] == 100
    assert state["w"].tolist() == [100.0, 100.0]


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "garbage", "pickle", "of another training"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(tmp_path: Path, damage: str) -> None:
    save_checkpoint(tmp_path, 1, {"of": "this", "step": 1})
    save_checkpoint(tmp_path, 2, {"of": "this", "step": 2})
    file = tmp_path / "checkpoint-2" / "state.pt"
    mark = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (mark,))

    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "missing":
        file.unlink()
    elif damage == "garbage":
        file.write_bytes(os.urandom(500))
    elif damage == "pickle":
        file.write_bytes(pickle.dumps(Hostile()))
        (file.parent / "sha256").write_text(hashlib.sha256(file.read_bytes()).hexdigest())
    else:
        save_checkpoint(tmp_path, 2, {"of": "that", "step": 2})
    said = list[str]()
    state = load_checkpoint(tmp_path, "this", said.append)
    assert state is not None
    assert state["step"] == 1
    assert len(said) == 1
    assert said[0].startswith(f"{file.parent}: ")
    assert "\n" not in said[0]
    assert not mark.exists(), "reading a checkpoint must run no code"
    assert any(name.startswith("unreadable-") for name in steps(tmp_path))


def test_two_damaged_ones_of_one_step_are_both_set_aside(tmp_path: Path) -> None:
    """In containers each restart may have the process id of the one before."""
    for _ in range(2):
        save_checkpoint(tmp_path, 3, {"of": "this", "step": 3})
        (tmp_path / "checkpoint-3" / "state.pt").write_bytes(b"")
        assert load_checkpoint(tmp_path, "this", lambda line: None) is None
    assert sorted(steps(tmp_path)) == ["unreadable-checkpoint-3-1", "unreadable-checkpoint-3-2"]


def test_a_full_disk_is_an_os_error_and_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    save_checkpoint(tmp_path, 1, {"of": "this", "step": 1})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 2, {"of": "this", "step": 2})
    assert steps(tmp_path) == ["checkpoint-1"]


def test_a_writer_killed_half_way_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    save_checkpoint(tmp_path, 1, {"of": "this", "step": 1})
    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 2, {"of": "this", "step": 2})
    assert steps(tmp_path) == ["checkpoint-1"]


def test_nothing_there_is_none_and_removal_takes_what_was_left_behind(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "no", "this", print) is None
    remove_checkpoints(tmp_path / "no")
    save_checkpoint(tmp_path, 1, {"of": "this", "step": 1})
    (tmp_path / ".checkpoint-abc").mkdir()
    (tmp_path / "claim").write_text("{}")
    remove_checkpoints(tmp_path)
    assert steps(tmp_path) == ["claim"]
