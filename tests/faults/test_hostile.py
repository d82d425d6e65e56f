"""A results directory from somebody who means harm: commands end, run no code, and change nothing outside of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from sweeps import load_cell
from sweeps.ledger.atomic_files import DamagedFileError
from sweeps.ledger.clean import KINDS
from sweeps.ledger.ledger import Ledger, LedgerError

if TYPE_CHECKING:
    from tests.faults.conftest import Ended, Lab

pytestmark = pytest.mark.timeout(240)

GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--batch-size", "8", "--ll-examples", "0", "--steps", "120", "--eval-every", "40"]
HUGE = 10**400  # an integer that no float holds


class Payload:
    """A pickle that runs a command as it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.place}/code-was-run",)


Place = Callable[[Path], Path]  # where in a results directory
Harm = Callable[[Path, Path], object]  # done to a results directory; the second is the folder outside of it


def cell(root: Path) -> Path:
    return min(root.glob("cells/*"))


def pack(root: Path) -> Path:
    return root / "packs" / next(iter(Ledger(root).packs()))


def newest(root: Path) -> Path:
    """The newest checkpoint."""
    return max(root.glob("packs/*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))


def at_root(name: str) -> Place:
    return lambda root: root / name


def in_cell(name: str) -> Place:
    return lambda root: cell(root) / name


def in_pack(name: str) -> Place:
    return lambda root: pack(root) / name


def in_newest(name: str) -> Place:
    return lambda root: newest(root) / name


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def pipe(place: Place) -> Harm:
    def harm(root: Path, outside: Path) -> None:
        path = place(root)
        remove(path)
        os.mkfifo(path)

    return harm


def link(place: Place, target: Path | None = None) -> Harm:
    """Put a link out of the tree in the place of a file or folder, whose content waits at the other end."""

    def harm(root: Path, outside: Path) -> None:
        path, there = place(root), target or outside / "there"
        if target is None and path.is_dir():
            shutil.copytree(path, there)
        elif target is None and path.exists():
            shutil.copy(path, there)
        remove(path)
        path.symlink_to(there)

    return harm


def content(place: Place, text: str) -> Harm:
    return lambda root, outside: place(root).write_text(text)


def edited(place: Place, old: str, new: str) -> Harm:
    def harm(root: Path, outside: Path) -> None:
        text = place(root).read_text()
        assert old in text
        place(root).write_text(text.replace(old, new, 1))

    return harm


def values(place: Place, **changes: Any) -> Harm:
    """Change values of a JSON object."""

    def harm(root: Path, outside: Path) -> None:
        place(root).write_text(json.dumps({**json.loads(place(root).read_text()), **changes}))

    return harm


def asked(part: str | None, **changes: Any) -> Harm:
    """Change the recorded request: itself, its settings, or the first data set in it."""

    def harm(root: Path, outside: Path) -> None:
        sweep = json.loads((root / "sweep.json").read_text())
        request = sweep["requests"][0]
        parts = {None: request, "settings": request["settings"], "data": request["request"]["data"][0]}
        parts[part].update(changes)
        (root / "sweep.json").write_text(json.dumps(sweep))

    return harm


def sealed(folder: Path, state: bytes) -> None:
    """Put a state into a checkpoint, with the checksum of its content."""
    (folder / "state.pt").write_bytes(state)
    (folder / "sha256").write_text(hashlib.sha256(state).hexdigest())


def pickled(place: Place, zipped: bool) -> Harm:
    """Put a pickle that runs a command into a checkpoint, bare or as torch.save writes it."""

    def harm(root: Path, outside: Path) -> None:
        file = io.BytesIO()
        if zipped:
            torch.save({"step": Payload(outside)}, file)
        else:
            pickle.dump(Payload(outside), file)
        sealed(place(root), file.getvalue())

    return harm


def other_state(state: object) -> Harm:
    def harm(root: Path, outside: Path) -> None:
        file = io.BytesIO()
        torch.save(state, file)
        sealed(newest(root), file.getvalue())

    return harm


def moved(place: Place, name: str) -> Harm:
    return lambda root, outside: place(root).rename(place(root).with_name(name))


def both(*harms: Harm) -> Harm:
    return lambda root, outside: [harm(root, outside) for harm in harms]


DEEP = '{"a":' + "[" * 200_000
LARGE = '{"a": [' + "1," * 2**24 + "1]}"
OF_CELL = ("config.json", "result.json", "history.csv", "weights.safetensors", "provenance.json")
OF_ROOT = ("sweep.json", "sweep.toml", "results.csv", "results.parquet", "claim", "packs", "runs")
RESULT, CONFIG, PROGRESS, CLAIM = (
    in_cell("result.json"),
    in_cell("config.json"),
    in_pack("progress.json"),
    in_pack("claim"),
)
FASTER: dict[str, Any] = {"step": HUGE, "steps": HUGE, "members": HUGE, "steps_per_second": 1e308}
NONE: dict[str, Any] = {"pid": [], "host": {}, "machine": [], "token": [], "process_start": {}}

COMPLETE: dict[str, Harm] = {
    **{f"{name} of a cell is a pipe": pipe(in_cell(name)) for name in OF_CELL},
    **{f"{name} of a cell links out": link(in_cell(name)) for name in OF_CELL},
    **{f"{name} is a pipe": pipe(at_root(name)) for name in OF_ROOT},
    **{f"{name} links out": link(at_root(name)) for name in ("cells", *OF_ROOT)},
    "a later bound is a pipe": pipe(in_cell("eval-2.json")),
    "a later bound links out": link(in_cell("eval-2.json")),
    "a later bound is deep": content(in_cell("eval-2.json"), DEEP),
    "a later bound is of more images than there are numbers": content(
        in_cell("eval-2.json"), '{"schema": 1, "samples": 2, "ll": -1.5, "examples": 1%s, "asked": 5}' % ("0" * 30)
    ),
    "a metric is as large as floats go": values(RESULT, kl_top=1e308, elbo=-1e308),
    "a later bound is of no kind": content(
        in_cell("eval-2.json"), '{"schema": 1, "samples": {}, "ll_2": [], "value": {}}'
    ),
    "a cell links out": link(cell),
    "a result links to a file of the system": link(RESULT, Path("/etc/passwd")),
    "the gate of a claim links out": link(at_root(".claim-gate")),
    "the gate of a claim is a folder": lambda root, outside: (root / ".claim-gate").mkdir(),
    "a result is huge": lambda root, outside: os.truncate(cell(root) / "result.json", 100 * 2**20),
    "a result is large": content(RESULT, LARGE),
    "a result is deep": content(RESULT, DEEP),
    "a configuration is deep": content(CONFIG, DEEP),
    "requests are deep": content(at_root("sweep.json"), DEEP),
    "a metric is 1e400": edited(RESULT, '"elbo": ', '"elbo": 1e400, "was": '),
    "a metric has 5000 digits": edited(RESULT, '"elbo": ', f'"elbo": 1{"0" * 5000}, "was": '),
    "a metric is beyond all floats": values(RESULT, elbo=HUGE),
    "a count is beyond all floats": values(RESULT, au_1=HUGE, au_top=HUGE),
    "seconds are beyond all floats": values(RESULT, seconds=HUGE),
    "a pack's size is beyond all floats": values(RESULT, pack_size=HUGE),
    "files are none": values(RESULT, files={"history.csv": {"bytes": []}}),
    "a failure is none": both(
        moved(RESULT, "failure.json"), content(in_cell("failure.json"), '{"kind": [], "lines": 7}')
    ),
    "a seed is beyond all integers": values(CONFIG, seed=HUGE),
    "a model is beyond all memory": values(CONFIG, model="mlp999999999x9"),
    "a pack's cells are paths": asked(None, packs=[["../../outside"], ["/etc/passwd"]]),
    "a pack's cells are not there": asked(None, packs=[["0123456789abcdef"]]),
    "a pack's cells are of no kind": asked(None, packs=[[["a"]], {}, 7]),
    "a checksum is a list": asked("data", checksum=[]),
    "pixels are text": asked("data", pixels="many"),
    "a reference is a number": asked("data", reference=7),
    "settings are of no kind": asked("settings", eval_every=[], ll_examples="x", keep={}, data_dir=3),
}
BEGUN: dict[str, Harm] = {
    **{
        f"{name} of a sweep that goes on links out": link(at_root(name))
        for name in ("cells", "packs", "runs", "sweep.json", "sweep.toml", "claim")
    },
    "settings of a sweep that goes on are of no kind": COMPLETE["settings are of no kind"],
    "a checksum of a sweep that goes on is a list": COMPLETE["a checksum is a list"],
    "a cell to train links out": link(cell),
    "a history to write links out": link(in_cell("history.csv")),
    "a pack links out": link(pack),
    "a checkpoint is a pickle": pickled(newest, zipped=False),
    "a checkpoint holds a pickle": pickled(newest, zipped=True),
    "a checkpoint is a pipe": pipe(in_newest("state.pt")),
    "a checkpoint links out": link(in_newest("state.pt")),
    "a checkpoint's folder links out": link(newest),
    "a checkpoint to come links out": link(in_pack("checkpoint-120")),
    "a checkpoint's folder is a file": content(in_pack("checkpoint-999"), "x"),
    "a checkpoint is of a step to come": moved(newest, "checkpoint-9999999"),
    "a checkpoint's step has 240 digits": moved(newest, f"checkpoint-1{'0' * 240}"),
    "a checkpoint holds other things": other_state({"step": [3]}),
    "a checkpoint holds a list": other_state([1]),
    "a claim is a pipe": pipe(CLAIM),
    "a claim links out": link(CLAIM),
    "a claim is deep": content(CLAIM, DEEP),
    "a claim's process is beyond all integers": values(CLAIM, pid=HUGE),
    "a claim's holder is of no kind": values(CLAIM, **NONE),
    "progress is a pipe": pipe(PROGRESS),
    "progress links out": link(PROGRESS),
    "progress is deep": content(PROGRESS, DEEP),
    "progress is beyond all floats": values(PROGRESS, **FASTER),
    "progress of a living worker is beyond all floats": both(
        values(PROGRESS, **FASTER), values(CLAIM, host="far", machine="far")
    ),
}


@pytest.fixture(scope="module")
def bases(
    tmp_path_factory: pytest.TempPathFactory, write_images: Callable[..., Path], make_lab: Callable[[Path], Lab]
) -> Path:
    """Two directories: `complete`, and `begun`, whose worker was killed between two checkpoints."""
    folder = tmp_path_factory.mktemp("bases")
    write_images(folder / "bars.npz")
    lab = make_lab(folder)
    for name in ("complete", "begun"):
        assert lab.run(*REQUEST, "--out", name, "--plan-only").code == 0
    assert lab.run("work", "complete").code == 0
    kill = {"checkpoint_seconds": 0, "kill": ["renamed", 2]}
    assert lab.run("work", "begun", faults=kill).code == -signal.SIGKILL
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def every_command(root: Path, elsewhere: Path, whole: bool) -> list[list[str]]:
    """First those that only look, then those that train, then some of the former again."""
    plan = [*REQUEST, "--out", str(root)]
    looks = [
        [*plan, "--dry-run"],
        ["status", str(root)],
        ["status", str(root), "--json"],
        ["show", str(min(root.glob("cells/*"), default=root))],
        ["clean", str(root)],
    ]
    figure = ["--out", str(elsewhere), "--format", "svg"]
    plots = [["plot", name, str(root), *figure] for name in ("phase-transition", "training", "samples")]
    drawn = [*plots, ["plot", "table", str(root), "--out", str(elsewhere)]] if whole else []
    later = [["evaluate", str(root), "--samples", "2", "--examples", "2"]] if whole else []
    train = [["work", str(root), "--no-wait"], [*plan, "--plan-only"], ["work", str(root), "--no-wait"]]
    kinds = [word for kind in KINDS for word in ("--remove", kind)]
    return [*looks, *drawn, *later, *train, *looks[:2], ["clean", str(root), *kinds]]


@pytest.mark.parametrize("kind", [*COMPLETE, *BEGUN])
def test_harm_is_bounded(lab: Lab, bases: Path, command: Callable[..., Ended], kind: str) -> None:
    root, outside = lab.folder / "results", lab.folder / "outside"
    outside.mkdir()
    shutil.copytree(bases / ("begun" if kind in BEGUN else "complete"), root)
    (outside / "precious").write_text("mine")
    ({**COMPLETE, **BEGUN}[kind])(root, outside)
    before = snapshot(outside)
    for words in every_command(root, lab.folder / "figures", kind in COMPLETE):
        done = command(*words, seconds=20)
        assert done.code in (0, 1, 2, 3, 4, 5), (words, done)
        assert "Traceback" not in done.stderr, (words, done)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 or (not errors and done.code in (0, 1, 3)), (words, done)
        assert snapshot(outside) == before, words
    folder = cell(root) if (root / "cells").is_dir() and list(root.glob("cells/*")) else root
    with suppress(LedgerError, DamagedFileError):
        load_cell(folder)
    assert snapshot(outside) == before


def test_ray_runs_no_code_from_a_checkpoint_either(
    lab: Lab, bases: Path, reference: Callable[..., dict[str, object]], numbers: Callable[[Path], dict[str, object]]
) -> None:
    root, outside = lab.folder / "results", lab.folder / "outside"
    outside.mkdir()
    shutil.copytree(bases / "begun", root)
    checkpoints = [path.name for path in root.glob("packs/*/checkpoint-*")]
    for name, zipped in zip(checkpoints, (False, True), strict=True):
        pickled(in_pack(name), zipped)(root, outside)
    values(PROGRESS, **FASTER)(root, outside)
    done = lab.run(*REQUEST, "--out", "results")
    assert done.code == 0, done.stderr
    assert not list(outside.iterdir())
    assert numbers(root) == reference(REQUEST)
    assert "Traceback" not in done.stderr, done.stderr
