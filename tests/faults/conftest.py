"""What the fault tests share: commands as processes that can be told from everybody else's, and what must remain."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, TypeVar

import pytest
from click.testing import CliRunner

import cli
from sweeps.ledger.atomic_files import DamagedFileError, read_json
from sweeps.ledger.ledger import Ledger

COMMAND = str(Path(sys.executable).with_name("hvae-sweep"))
HOOK = Path(__file__).parent / "hook"
T = TypeVar("T")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Running:
    """A command as a process, the first of a session of its own; what it prints goes into files."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> None:
        self.process, self.pid, self.stdout, self.stderr = process, process.pid, stdout, stderr

    def wait(self, timeout: float) -> Ended:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {timeout:g} s; stderr: {self.stderr.read_text()}") from None
        return Ended(code, self.stdout.read_text(), self.stderr.read_text())

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)


class Lab:
    """A directory with images in it, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ray = Path(tempfile.mkdtemp(prefix="f-"))  # short: Ray's sockets lie in it
        self.started: list[subprocess.Popen[bytes]] = []
        self.sessions: set[int] = set()
        self.seen: dict[Path, int] = {}

    def environment(self, faults: dict[str, Any] | None = None) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "FAULTS")}
        found |= {"OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(self.ray)}
        path = os.pathsep.join([str(HOOK), *filter(None, [found.get("PYTHONPATH")])])
        return found | ({"PYTHONPATH": path, "FAULTS": json.dumps(faults)} if faults else {})

    def start(self, *arguments: str, faults: dict[str, Any] | None = None, prefix: Sequence[str] = ()) -> Running:
        """Start `hvae-sweep`, or whatever else begins with a path."""
        command = [*prefix, *([] if arguments[0].startswith("/") else [COMMAND]), *arguments]
        out, err = (self.folder / f"{len(self.sessions)}.{name}" for name in ("stdout", "stderr"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=self.environment(faults),
                start_new_session=True,
            )
        self.started.append(process)
        self.sessions.add(process.pid)
        return Running(process, out, err)

    def run(
        self,
        *arguments: str,
        faults: dict[str, Any] | None = None,
        prefix: Sequence[str] = (),
        timeout: float = 150,
    ) -> Ended:
        return self.start(*arguments, faults=faults, prefix=prefix).wait(timeout)

    def processes(self) -> dict[int, str]:
        """Living processes of the sessions that were started here, whatever has become of their parents."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, IndexError):
                if entry.name.isdecimal():
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if fields[0] not in "ZX" and int(fields[3]) in self.sessions:
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def raylets(self) -> list[int]:
        return [pid for pid, command in self.processes().items() if command.split(" ")[0].endswith("/raylet")]

    def workers(self, root: Path) -> dict[str, int]:
        """Packs that a living process of ours has claimed, with its process id."""
        found = {}
        for path in root.glob("packs/*/claim"):
            with suppress(DamagedFileError):
                content = read_json(path)
                if content is not None:
                    found[path.parent.name] = int(content["pid"])
        alive = self.processes() if found else {}
        return {pack: pid for pack, pid in found.items() if pid in alive}

    def steps(self, root: Path) -> dict[str, int]:
        """Packs that have a progress file, with the step in it."""
        found = {}
        for path in root.glob("packs/*/progress.json"):
            with suppress(DamagedFileError):
                content = read_json(path)
                if content is not None:
                    found[path.parent.name] = int(content["step"])
        return found

    def look(self, root: Path) -> int:
        """Hold every complete cell to the moment at which it was first seen complete; returns how many there are."""
        results = list(root.glob("cells/*/result.json"))
        for path in results:
            then = path.stat().st_mtime_ns
            assert self.seen.setdefault(path, then) == then, f"{path} was written again"
        return len(results)

    def gone(self, seconds: float = 90) -> None:
        """Wait until no process is left of what was started here."""
        until(lambda: not self.processes(), seconds, lambda: f"processes that remain: {self.processes()}")

    def tidy(self, root: Path, killed: bool = False) -> None:
        """Nothing remains of what ran; of processes that were killed, only what `clean` removes as leftovers."""
        self.gone()
        if killed:
            for path in [path for path in root.rglob(".*") if "runs" not in path.relative_to(root).parts]:
                os.utime(path, (1, 1))  # longer ago than anybody still writes
            assert self.run("clean", str(root), "--remove", "leftovers").code == 0
        hidden = [path for path in root.rglob(".*") if "runs" not in path.relative_to(root).parts]
        left = [*hidden, *root.glob("claim"), *root.glob("packs/*/*"), *root.rglob("*.damaged-*")]
        assert not left, left

    def close(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(30)
        shutil.rmtree(self.ray, ignore_errors=True)


def until(condition: Callable[[], T], seconds: float, what: str | Callable[[], str]) -> T:
    """Wait for something to be true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.02)
    return value


@pytest.fixture
def lab(tmp_path: Path, write_images: Callable[..., Path]) -> Iterator[Lab]:
    write_images(tmp_path / "bars.npz")
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def make_lab() -> Iterator[Callable[[Path], Lab]]:
    """Labs that last as long as a fixture of a wider scope needs them."""
    made: list[Lab] = []

    def make(folder: Path) -> Lab:
        made.append(Lab(folder))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture(scope="session")
def numbers() -> Callable[[Path], dict[str, object]]:
    """Everything a cell's run decides, by cell: final metrics with checksums, history and weights, bit for bit."""

    def read(root: Path) -> dict[str, object]:
        ledger = Ledger(root)
        found: dict[str, object] = {}
        for cell in ledger.cell_ids():
            path = ledger.cell_path(cell)
            result = json.loads((path / "result.json").read_text())
            del result["seconds"]
            history = (path / "history.csv").read_text()
            steps = [row["step"] for row in csv.DictReader(history.splitlines())]
            assert len(steps) == len(set(steps)), f"{path}: a row of its history is there twice"
            found[cell] = (result, history, (path / "weights.safetensors").read_bytes())
        return found

    return read


@pytest.fixture(scope="session")
def reference(
    tmp_path_factory: pytest.TempPathFactory,
    write_images: Callable[..., Path],
    numbers: Callable[[Path], dict[str, object]],
) -> Callable[..., dict[str, object]]:
    """What requests come to without Ray and without trouble, made once for the same requests."""
    known: dict[tuple[tuple[str, ...], ...], dict[str, object]] = {}

    def make(*requests: Sequence[str]) -> dict[str, object]:
        key = tuple(map(tuple, requests))
        if key not in known:
            folder = tmp_path_factory.mktemp("reference")
            write_images(folder / "bars.npz")
            lab = Lab(folder)
            for request in requests:
                assert lab.run(*request, "--out", "alone", "--plan-only").code == 0
            done = lab.run("work", "alone", timeout=300)
            assert done.code == 0, done.stderr
            lab.close()
            known[key] = numbers(folder / "alone")
        return known[key]

    return make


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is seen although the test passes."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}", end="", flush=True)

    return line


class Hung(BaseException):
    """A command in this process took too long."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    def hung(number: int, frame: FrameType | None) -> NoReturn:
        raise Hung

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in this process, which is a hundred times faster; one that hangs or raises fails the test."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, seconds: float = 30) -> Ended:
        group, words = (cli.plot, arguments[1:]) if arguments[0] == "plot" else (cli.sweep, arguments)
        try:
            with limit(seconds):
                done = CliRunner().invoke(group, words, catch_exceptions=False)
        except Hung:
            pytest.fail(f"{' '.join(arguments)}: no end within {seconds:g} s")
        except Exception as error:
            pytest.fail(f"{' '.join(arguments)}: a traceback: {type(error).__name__}: {str(error)[:300]}")
        return Ended(done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture(scope="session")
def one_line() -> Callable[[str], str]:
    """The one line on which a command said what is wrong; notes before it may be there, a traceback may not."""

    def check(stderr: str) -> str:
        assert "Traceback" not in stderr, stderr
        errors = [line for line in stderr.splitlines() if re.match(r"error: ", line)]
        assert len(errors) == 1, stderr
        return errors[0]

    return check
