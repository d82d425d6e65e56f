"""A Slurm of one node, private to these tests: munged, slurmctld and slurmd with everything in one directory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.ledger.ledger import Ledger

DAEMONS = ("munged", "slurmctld", "slurmd")
CPUS = 8  # claimed, whatever the machine has: elements that only sleep need none
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
MpiDefault=none
KillWait=10
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes={host} Default=YES PriorityTier=1
PartitionName=urgent Nodes={host} PriorityTier=9
"""
Until = Callable[[Callable[[], object], float, Callable[[], str]], None]


def find(daemon: str) -> str | None:
    return shutil.which(daemon, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def wait_until(condition: Callable[[], object], seconds: float, what: Callable[[], str]) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


@pytest.fixture(scope="session")
def until() -> Until:
    return wait_until


class Slurm:
    """The daemons, and what to ask them."""

    def __init__(self, folder: Path, isolated: bool = False) -> None:
        """Isolated: jobs live in a process table of their own, and see nobody else's processes."""
        self.isolation = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc") if isolated else ()
        self.folder, self.configuration = folder, folder / "slurm.conf"
        self.daemons: list[subprocess.Popen[bytes]] = []
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        (folder / "munge.key").write_bytes(os.urandom(64))
        (folder / "munge.key").chmod(0o400)
        host, ports = socket.gethostname().partition(".")[0], [free_port(), free_port()]
        self.configuration.write_text(CONFIGURATION.format(host=host, ports=ports, folder=folder, cpus=CPUS))

    def start(self) -> None:
        """Start one after the other, as each asks the one before; raises AssertionError if that fails."""
        files = {name: f"--{name}={self.folder}/munge.{name.partition('-')[0]}" for name in ("key-file", "pid-file")}
        more = [*files.values(), f"--log-file={self.folder}/munge.log", f"--seed-file={self.folder}/munge.seed"]
        self._daemon(["munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *more])
        wait_until((self.folder / "munge.socket").exists, 10, self.said)
        self._daemon(["slurmctld", "-D", "-i"])
        wait_until(lambda: "is UP" in self.ask("scontrol", "ping"), 20, self.said)
        self._daemon(["slurmd", "-D"], self.isolation)
        wait_until(lambda: self.ask("sinfo", "--noheader", "--format=%t").strip() == "idle", 30, self.said)

    def _daemon(self, command: Sequence[str], prefix: Sequence[str] = ()) -> None:
        command = [*prefix, str(find(command[0])), *command[1:]]
        with (self.folder / "said").open("ab") as said:
            self.daemons.append(subprocess.Popen(command, stdout=said, stderr=said, env=self.environment()))

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def said(self) -> str:
        lines = (self.folder / "said").read_text(errors="replace").splitlines()
        return f"Slurm does not start: {lines[-1] if lines else 'no word from it'}"

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment(), timeout=30, check=False)
        return done.stdout

    def elements(self, name: str) -> dict[str, str]:
        """States of a job's elements by their index, as long as Slurm remembers them."""
        lines = self.ask("squeue", "--array", "--states=all", "-h", f"--name={name}", "--format=%K %T").splitlines()
        return dict(line.split() for line in lines)

    def stop(self) -> None:
        """Cancel what is left, wait until it is gone, since it would outlive the daemons, and end these."""
        for more in ((), ("--state=RUNNING", "--signal=KILL", "--full")):
            self.ask("scancel", "--me", *more)
            deadline = time.monotonic() + 12
            while self.ask("squeue", "--noheader").strip() and time.monotonic() < deadline:
                time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@contextmanager
def running(isolated: bool = False) -> Iterator[Slurm]:
    """Have a Slurm for a while; skips the test with a word on why there can be none."""
    missing = [name for name in (*DAEMONS, "sbatch") if find(name) is None]
    if missing:
        pytest.skip(f"needs a Slurm to start: no {', '.join(missing)} here (Debian: slurm-wlm, munge)")
    if os.geteuid() != 0:
        pytest.skip("needs a Slurm to start: only root can")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munged trusts no other
    slurm = Slurm(folder, isolated)
    try:
        try:
            slurm.start()
        except AssertionError as error:
            pytest.skip(str(error))
        yield slurm
    finally:
        slurm.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    with running() as found:
        yield found


@pytest.fixture
def isolated_slurm() -> Iterator[Slurm]:
    with running(isolated=True) as found:
        yield found


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
            found[cell] = (result, *((path / name).read_bytes() for name in ("history.csv", "weights.safetensors")))
        return found

    return read
