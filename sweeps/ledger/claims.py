"""Claims: who works on a pack or holds a directory, without locks that shared file systems break.

A claim is a file created exclusively, which names its holder, and which the holder touches as a heartbeat. It is
stale when it was not touched for 90 s by the file system's own clock, or at once if its process is gone from this
machine. Neither flock nor a database: both are unreliable on network file systems.

Invariants: a claim never exists without its content (it is written beside and linked into place); only its holder, or
who found it stale, removes it, one at a time and only with the token that was read (`_gate`). A claim says who should
work: a process that was suspended beyond its claim's life learns of that only when it looks. What keeps its late
writes out is `ownership`.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from sweeps.ledger.atomic_files import DamagedFileError, read_json

EXPIRY_SECONDS = 90.0
HEARTBEAT_SECONDS = 15.0
GATE_SECONDS = 10.0  # a removal takes milliseconds


@dataclass(frozen=True)
class Holder:
    """Who holds a claim: host, process id, since when (UTC)."""

    host: str
    pid: int
    start: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.start}"


class HeldError(Exception):
    """A live claim of another process is in the way; its one line says whose."""

    def __init__(self, path: Path, holder: Holder) -> None:
        super().__init__(f"{path.parent} is held by {holder}")
        self.holder = holder


class Claim:
    """A claim held by this process, as a context; raises HeldError on entry if another live process holds it."""

    def __init__(self, path: Path, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self.path = path
        self.token = uuid.uuid4().hex
        self._heartbeat_seconds = heartbeat_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"claim {path.parent.name}", daemon=True)

    def __enter__(self) -> Claim:
        while not self._create():
            found = _read(self.path)
            if found is not None:
                content, holder = found
                if is_live(self.path, content):
                    raise HeldError(self.path, holder)
                _remove(self.path, content.get("token"), stale=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        _remove(self.path, self.token, stale=False)

    def mine(self) -> bool:
        """Whether the claim is still this process's own: false after someone took it over."""
        found = _read(self.path)
        return found is not None and found[0].get("token") == self.token

    def _create(self) -> bool:
        content = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "start": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": _machine(),
            "process_start": _process_start(os.getpid()),
            "token": self.token,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and linked into place, so that a claim never exists without its content.
        try:
            descriptor, name = tempfile.mkstemp(prefix=".claim-", dir=self.path.parent)
        except FileNotFoundError:
            return False
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(content, file)
            os.link(name, self.path)
        except (FileExistsError, FileNotFoundError):  # somebody's claim, or the folder went with a finished pack
            return False
        finally:
            Path(name).unlink(missing_ok=True)
        return True

    def _beat(self) -> None:
        while not self._done.wait(self._heartbeat_seconds):
            if self.mine():
                with suppress(OSError):
                    os.utime(self.path)


def holder_of(path: Path) -> Holder | None:
    """Return who holds a live claim at this path, or None."""
    found = _read(path)
    return found[1] if found is not None and is_live(path, found[0]) else None


def is_live(path: Path, content: dict[str, object]) -> bool:
    """Whether the claim with this content still stands: not of a dead process here, and touched lately."""
    here = content.get("machine", content.get("host")) in (_machine(), socket.gethostname())
    pid = content.get("pid")
    lives_here = False
    if here and isinstance(pid, int):
        start = _process_start(pid)
        if start is None or start != content.get("process_start", start):
            return False
        lives_here = True
    try:
        age = _clock(path.parent) - path.stat().st_mtime
    except OSError:
        return False
    if age < 0 and lives_here:  # the clock was set back: the next heartbeat puts that right
        return True
    return abs(age) < EXPIRY_SECONDS


def _read(path: Path) -> tuple[dict[str, object], Holder] | None:
    try:
        content = read_json(path)
    except DamagedFileError:
        content = {}  # a damaged claim counts as one of nobody, stale as soon as its heartbeat is
    if content is None:
        return None
    pid = content.get("pid")
    holder = Holder(
        str(content.get("host", "unknown")), pid if isinstance(pid, int) else 0, str(content.get("start", "unknown"))
    )
    return content, holder


def _remove(path: Path, token: object, stale: bool) -> None:
    """Remove the claim with this token (if it is still stale): inside the gate, so never one that replaced it."""
    with suppress(FileNotFoundError), _gate(path):
        found = _read(path)
        if found is not None and found[0].get("token") == token and not (stale and is_live(path, found[0])):
            path.unlink()


@contextmanager
def _gate(path: Path) -> Iterator[None]:
    """Admit one process at a time to the removal of a claim; a gate left closed by a dead process is reopened."""
    gate = path.with_name(f".{path.name}-gate")
    while True:
        try:
            os.close(os.open(gate, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                if abs(_clock(path.parent) - gate.lstat().st_mtime) > GATE_SECONDS:
                    gate.unlink()
            time.sleep(0.005)
    try:
        yield
    finally:
        gate.unlink(missing_ok=True)


def _clock(folder: Path) -> float:
    """Ask the file system for its own time, which may differ from this host's; a reader who may not write has ours."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".clock-", dir=folder) as probe:
            return os.fstat(probe.fileno()).st_mtime or time.time()
    except OSError:
        return time.time()


def _machine() -> str:
    """Identity of this machine's process table: two hosts or containers never share it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode()}"


def _process_start(pid: int) -> str | None:
    """When a process started, in clock ticks, so that a reused process id is not taken for the old one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return None
    try:  # no /proc on this system
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return "alive"
