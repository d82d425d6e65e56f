"""A disk that is full, or read-only: one clear line, nothing half-written taken as whole, and then it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Ended, Lab

pytestmark = pytest.mark.timeout(240)

GRID = ["rho", "--model", "mlp2x3h200", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--seeds", "2"]
REQUEST = [*GRID, "--ou-samples", "2", "--steps", "60", "--batch-size", "8", "--ll-examples", "5", "--eval-every", "10"]
OUT = ["--pack", "3", "--out", "disk/results"]
EAGER = {"checkpoint_seconds": 0}
WEIGHTS = 682_000  # bytes of a cell's weights; a checkpoint holds three times as much of each member
ROOM = {  # pages of memory at 4 KiB that the records need, and what else is written before the disk is full
    "checkpoints": (EAGER, 400_000 + 3 * 3 * WEIGHTS * 3 // 2),  # one and a half checkpoints
    "results": (None, 400_000 + 3 * 3 * WEIGHTS + WEIGHTS * 3 // 2),  # the last checkpoint, one and a half weights
}


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Mount, and mount again, a small file system of memory in the folder `disk`."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def set_to(options: str) -> None:
        first = [] if folder.is_mount() else ["-t", "tmpfs"]
        again = f"remount,{options}" if folder.is_mount() else options
        done = subprocess.run(
            ["mount", *first, "-o", again, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode and first:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr

    yield set_to
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def named(stderr: str, words: str) -> str:
    """The one line on which a command says what its trouble was."""
    assert "Traceback" not in stderr, stderr
    lines = [line for line in stderr.splitlines() if words in line]
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.mark.parametrize("when", ROOM)
@pytest.mark.parametrize("through", ["ray", "work"])
def test_a_full_disk_is_named_and_with_more_room_it_goes_on(
    lab: Lab,
    mount: Callable[[str], None],
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    through: str,
    when: str,
) -> None:
    faults, room = ROOM[when]
    mount(f"size={room}")
    if through == "work":
        assert lab.run(*REQUEST, *OUT, "--plan-only").code == 0
        command = ["work", "disk/results"]
    else:
        command = [*REQUEST, *OUT]
    root = lab.folder / "disk" / "results"
    full = lab.run(*command, faults=faults)
    assert full.code == 1, full.stderr
    named(full.stderr, "No space left on device")
    begun = lab.look(root)
    assert begun < 6
    mount("size=64m")
    done = lab.run(*command)
    assert done.code == 0, done.stderr
    assert lab.look(root) == 6
    assert numbers(root) == reference([*REQUEST, "--pack", "3"])
    lab.tidy(root)


def test_a_disk_that_is_full_from_the_start_is_named_by_every_command(
    lab: Lab, mount: Callable[[str], None], command: Callable[..., Ended], one_line: Callable[[str], str]
) -> None:
    mount("size=64k")
    (lab.folder / "disk" / "filler").write_bytes(bytes(64 * 1024))
    planned = command(*REQUEST, *OUT, "--plan-only")
    assert planned.code == 1
    assert "No space left on device" in one_line(planned.stderr)


@pytest.mark.parametrize("state", ["planned", "begun", "complete"])
def test_a_read_only_disk_is_named_and_nothing_changes(
    lab: Lab,
    mount: Callable[[str], None],
    command: Callable[..., Ended],
    one_line: Callable[[str], str],
    state: str,
) -> None:
    root = lab.folder / "disk" / "results"
    mount("size=64m")
    assert command(*REQUEST, *OUT, "--plan-only").code == 0
    if state == "begun":
        assert lab.run("work", str(root), faults={**EAGER, "kill": ["renamed", 2]}).code == -9
    if state == "complete":
        assert lab.run("work", str(root)).code == 0
    mount("ro")
    before = snapshot(root)
    commands = [[*REQUEST, *OUT], [*REQUEST, *OUT, "--plan-only"], ["work", str(root)]]
    for words in commands if state != "complete" else commands[1:2]:
        refused = lab.run(*words)
        assert refused.code == 1, refused.stderr
        assert "Read-only file system" in one_line(refused.stderr)
    for words in ([*REQUEST, *OUT, "--dry-run"], ["status", str(root)], ["show", str(next(root.glob("cells/*")))]):
        shown = command(*words)
        assert (shown.code, shown.stderr) == (0, "")
    if state == "complete":
        again = lab.run(*REQUEST, *OUT)
        assert again.code == 0, again.stderr
    assert snapshot(root) == before
    mount("rw")


def snapshot(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}
