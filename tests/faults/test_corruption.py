"""Files damaged at random: what cannot be used is named and set aside, one cell is trained again to the same bits."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch

from sweeps.ledger.atomic_files import fingerprint
from sweeps.ledger.ledger import Ledger
from sweeps.ledger.validation import COMPANIONS, METRICS

if TYPE_CHECKING:
    from tests.faults.conftest import Ended, Lab

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--ou-samples", "2"]
SMALL = [*GRID, "--batch-size", "8", "--ll-examples", "5", "--pack", "2"]
REQUEST = [*SMALL, "--seeds", "2", "--steps", "6", "--eval-every", "2"]
WILD = [*SMALL, "--seeds", "1", "--steps", "6", "--lr", "1e30"]  # diverges
LONG = [*SMALL, "--seeds", "2", "--steps", "240", "--eval-every", "40"]
ROUNDS = 100
LAYERS = [f"{name}_{i}" for name in ("kl", "au", "au_path") for i in (1, 2)]

Damage = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


DAMAGE: dict[str, Damage] = {
    "truncated": lambda content, rng: content[: rng.randrange(len(content))],
    "zeroed": lambda content, rng: bytes(len(content)),
    "flipped": flip,
    "garbage": lambda content, rng: rng.randbytes(rng.randrange(1, 2000)),
}


def parsed(content: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(content, parse_constant=refuse)
    except ValueError:
        return None


def usable(path: Path, before: bytes) -> bool:
    """Whether a damaged file can still be what it says it is, so that nobody can see the damage.

    Of a configuration that is only the same JSON in other white space: its id is its checksum. Of a result it is a
    flipped byte that leaves strict JSON in which the cell and the schema are right, every metric is a finite number
    and the checksums of its companions are theirs (a number that has become another number, a note like the device);
    of a failure any JSON object. Of companions, which the result holds checksums of, it is nothing at all.
    """
    content = path.read_bytes()
    found, was = parsed(content), parsed(before)
    if path.name == "config.json":
        return bool(found == was)
    if path.name == "failure.json":
        return isinstance(found, dict)
    if path.name != "result.json":
        return content == before
    if not isinstance(found, dict) or any(found.get(name) != was[name] for name in ("schema", "cell_id")):
        return False
    for name in (*METRICS, *LAYERS):
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
    files = found.get("files")
    named = {name: files.get(name) for name in COMPANIONS} if isinstance(files, dict) else {}
    recorded = {name: value for name, value in named.items() if isinstance(value, dict)}
    return all(fingerprint((path.parent / name).read_bytes()) == value for name, value in recorded.items())


def outcomes(root: Path) -> dict[str, object]:
    """Everything that a cell's run decides, by cell: numbers bit for bit, or why there are none."""
    ledger, found = Ledger(root), dict[str, object]()
    for cell in ledger.cell_ids():
        record = ledger.record(cell)
        assert record is not None
        assert not record.damage
        result, failure = record.result or {}, record.failure or {}
        files = {name: (ledger.cell_path(cell) / name).read_bytes() for name in COMPANIONS if result}
        result.pop("seconds", None)
        found[cell] = (result, [failure.get(name) for name in ("kind", "step", "lines")], files)
    return found


def tables(root: Path) -> list[str]:
    """What results.csv and results.parquet say of the cells, but how long they took."""
    found = [pd.read_csv(root / "results.csv"), pd.read_parquet(root / "results.parquet")]
    return [frame.drop(columns="seconds").to_json() for frame in found]


def times(root: Path) -> dict[str, int]:
    """When each cell's outcome was written."""
    files = [path for name in ("result.json", "failure.json") for path in root.glob(f"cells/*/{name}")]
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


@pytest.mark.timeout(300)
def test_any_damage_to_a_complete_directory_costs_one_cell_at_most(
    lab: Lab, command: Callable[..., Ended], say: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    rng, root = random.Random(seed), lab.folder / "results"
    for request in (REQUEST, WILD):
        assert command(*request, "--plan-only").code == 0
    assert command("work", "results").code == 3
    whole, derived = outcomes(root), tables(root)
    assert len(whole) == 6
    tally, silent = Counter[str](), list[str]()
    for _ in range(ROUNDS):
        trained = [path.parent / name for path in root.glob("cells/*/result.json") for name in (path.name, *COMPANIONS)]
        others = [path for name in ("failure.json", "config.json") for path in root.glob(f"cells/*/{name}")]
        path = rng.choice(sorted([*trained, *others, *root.glob("results.*")]))
        kind = rng.choice(list(DAMAGE))
        before, aside = path.read_bytes(), list(path.parent.glob(f"{path.name}.damaged-*"))
        path.write_bytes(DAMAGE[kind](before, rng))
        then = times(root)
        harmless = usable(path, before)
        cell = path.parent.name if path.parent != root else None
        if rng.random() < 0.3 and cell is not None:  # a worker was killed in its pack, and its files are damaged too
            for pack in Ledger(root).packs().values():
                if cell in pack.cells:
                    folder = root / "packs" / pack.id
                    folder.mkdir(parents=True, exist_ok=True)
                    for name in ("claim", "progress.json"):
                        (folder / name).write_bytes(rng.randbytes(50))
                        os.utime(folder / name, (1, 1))
        planned = [command(*request, "--plan-only") for request in (REQUEST, WILD)]
        worked = command("work", "results")
        assert [done.code for done in planned] == [0, 0], planned
        assert worked.code == 3, worked
        said = "".join(done.stderr for done in (*planned, worked))
        changed = {name for name, time in times(root).items() if then.get(name) != time}
        what = f"{path.name} {kind}"
        if cell is None:
            tally["derived"] += 1
            assert not changed, what
        elif harmless:
            tally["cannot be seen"] += 1
            assert not changed, what
            path.write_bytes(before)
        else:
            tally[path.name] += 1
            assert changed == (set() if path.name == "config.json" else {cell}), what
            assert len(list(path.parent.glob(f"{path.name}.damaged-*"))) > len(aside), what
            # a flip in the checksums that a result holds of its companions is told as damage of these
            silent += (
                [] if f"{path}: " in said or (path.name == "result.json" and f"{path.parent}/" in said) else [what]
            )
        assert outcomes(root) == whole, what
        assert harmless or tables(root) == derived, what
    say(f"{ROUNDS} damages (seed {seed}): {', '.join(f'{n} {name}' for name, n in sorted(tally.items()))}")
    assert not silent, f"{len(silent)} were set aside without a word, such as {silent[0]}"
    assert command("clean", "results", "--remove", "damaged").code == 0
    lab.tidy(root)


@pytest.fixture
def interrupted(lab: Lab, command: Callable[..., Ended]) -> Path:
    """A sweep whose only worker was killed in its first pack, of which two checkpoints are there."""
    assert command(*LONG, "--plan-only").code == 0
    done = lab.run("work", "results", faults={"checkpoint_seconds": 0, "kill": ["renaming", 4]})
    assert done.code == -signal.SIGKILL, done.stderr
    assert len(list(lab.folder.glob("results/packs/*/checkpoint-*"))) == 2
    return lab.folder / "results"


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_checkpoints_change_no_bit(
    lab: Lab,
    command: Callable[..., Ended],
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    interrupted: Path,
    kind: str,
) -> None:
    """The newest or both of them, each time in a fresh copy; an older one, or the beginning, takes their place."""
    rng, root = random.Random(list(DAMAGE).index(kind)), lab.folder / "copy"
    for n in range(3):
        shutil.copytree(interrupted, root)
        newest, older = sorted(root.glob("packs/*/checkpoint-*"), key=lambda path: -int(path.name.partition("-")[2]))
        for folder in (newest, older)[: 1 + n % 2]:
            path = rng.choice(sorted(folder.iterdir()))
            path.write_bytes(DAMAGE[kind](path.read_bytes(), rng))
        done = command("work", "copy", seconds=100)
        assert done.code == 0, done.stderr
        assert numbers(root) == reference(LONG)
        lab.tidy(root, killed=True)
        shutil.rmtree(root)


@pytest.mark.timeout(100)
def test_a_checkpoint_of_something_else_changes_no_bit_either(
    command: Callable[..., Ended],
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    interrupted: Path,
) -> None:
    """It is one that torch reads and that its checksum is of, without what a pack in training holds."""
    for path in interrupted.glob("packs/*/checkpoint-*"):
        torch.save({"step": 40}, path / "state.pt")
        (path / "sha256").write_text(hashlib.sha256((path / "state.pt").read_bytes()).hexdigest())
    done = command("work", "results", seconds=90)
    assert done.code == 0, done.stderr
    assert numbers(interrupted) == reference(LONG)


def test_a_damaged_checkpoint_is_named(command: Callable[..., Ended], interrupted: Path) -> None:
    newest = max(interrupted.glob("packs/*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    path = newest / "state.pt"
    path.write_bytes(b"garbage")
    assert path.parent.name in command("work", "results", seconds=100).stderr


@pytest.mark.timeout(240)
def test_ray_repairs_what_is_damaged_and_nothing_else(
    lab: Lab,
    reference: Callable[..., dict[str, object]],
    numbers: Callable[[Path], dict[str, object]],
    interrupted: Path,
) -> None:
    """First an interrupted sweep whose pack is full of garbage, then the complete one with four damaged cells."""
    pack = next(interrupted.glob("packs/*/checkpoint-*")).parent
    for path in (max(pack.glob("checkpoint-*")) / "state.pt", pack / "claim", pack / "progress.json"):
        path.write_bytes(random.Random(1).randbytes(100))
    os.utime(pack / "claim", (1, 1))
    first = lab.run(*LONG)
    assert first.code == 0, first.stderr
    assert numbers(interrupted) == reference(LONG)
    cells = sorted(interrupted.glob("cells/*"))
    then = times(interrupted)
    damaged = [cells[0] / "result.json", cells[1] / "weights.safetensors", cells[2] / "history.csv"]
    for path, kind in zip([*damaged, cells[3] / "config.json"], DAMAGE, strict=True):
        path.write_bytes(DAMAGE[kind](path.read_bytes(), random.Random(2)))
    again = lab.run(*LONG)
    assert again.code == 0, again.stderr
    for path in [*damaged, cells[3] / "config.json"]:
        assert len([line for line in again.stderr.splitlines() if str(path) in line and "set aside" in line]) == 1
    assert numbers(interrupted) == reference(LONG)
    changed = {cell for cell, time in times(interrupted).items() if then[cell] != time}
    assert changed == {path.parent.name for path in damaged}
    assert lab.run("clean", "results", "--remove", "damaged").code == 0
    lab.tidy(interrupted, killed=True)


@pytest.mark.parametrize("kind", ["truncated", "zeroed", "garbage"])
def test_a_damaged_list_of_requests_is_refused_by_name(
    lab: Lab, command: Callable[..., Ended], one_line: Callable[[str], str], kind: str
) -> None:
    root = lab.folder / "results"
    assert command(*REQUEST, "--plan-only").code == 0
    path = root / "sweep.json"
    path.write_bytes(DAMAGE[kind](path.read_bytes(), random.Random(3)))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for words in (
        REQUEST,
        [*REQUEST, "--plan-only"],
        [*REQUEST, "--dry-run"],
        ["work", "results"],
        ["status", "results"],
    ):
        refused = command(*words)
        assert refused.code == 1
        assert str(path) in one_line(refused.stderr)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
