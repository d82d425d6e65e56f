"""A real Slurm of one node: arrays that finish, lose elements, run into their time limit, are cancelled."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import cli

if TYPE_CHECKING:
    from tests.cluster.conftest import Slurm, Until

pytestmark = pytest.mark.timeout(150)

HOOK = Path(__file__).parents[1] / "faults" / "hook"
COMMAND = str(Path(sys.executable).with_name("hvae-sweep"))
GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--steps", "300", "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]


@dataclass
class Place:
    """A directory with images, in which training stands nearly still for as long as a file `slow` is there."""

    folder: Path
    slurm: Slurm
    until: Until

    @property
    def slow(self) -> Path:
        return self.folder / "slow"

    def sweep(self, *arguments: str) -> Result:
        faults = json.dumps({"pause": 0.3, "while": str(self.slow)})
        path = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])
        changes = {"SLURM_CONF": str(self.slurm.configuration), "FAULTS": faults, "PYTHONPATH": path}
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(cli.sweep, arguments, env=changes, catch_exceptions=False)
        finally:
            os.chdir(here)

    def submit(self, out: str, *options: str) -> str:
        """Submit the request and return the job's name."""
        done = self.sweep("submit", *options, "--", *REQUEST, "--out", out)
        assert done.exit_code == 0, done.stderr
        (script,) = (self.folder / out).glob("jobs/*/script.sh")
        assert f"--job-name={script.parent.name}\n" in script.read_text()
        return script.parent.name

    def ends(self, name: str, states: set[str], seconds: float = 60) -> None:
        """Wait until all elements of a job are in one of these states."""
        found: dict[str, str] = {}

        def over() -> bool:
            nonlocal found
            found = self.slurm.elements(name)
            return bool(found) and set(found.values()) <= states

        self.until(over, seconds, lambda: f"{found}; {self.logs(name)}")

    def logs(self, name: str) -> list[str]:
        return [line for path in self.folder.glob(f"*/jobs/{name}/*.log") for line in path.read_text().splitlines()]

    def holders(self, out: str) -> dict[str, int]:
        """Processes that hold packs and have taken a step, by pack."""
        packs = [path.parent for path in (self.folder / out).glob("packs/*/progress.json")]
        return {pack.name: json.loads((pack / "claim").read_text())["pid"] for pack in packs}


@pytest.fixture
def place(tmp_path: Path, slurm: Slurm, until: Until, write_images: Callable[..., Path]) -> Place:
    write_images(tmp_path / "bars.npz")
    return Place(tmp_path, slurm, until)


@pytest.fixture(scope="module")
def limited(
    tmp_path_factory: pytest.TempPathFactory, slurm: Slurm, until: Until, write_images: Callable[..., Path]
) -> Iterator[tuple[Place, str]]:
    """A job that meets its time limit while the other tests run: Slurm looks at limits twice a minute."""
    place = Place(tmp_path_factory.mktemp("limited"), slurm, until)
    write_images(place.folder / "bars.npz")
    place.slow.touch()
    name = place.submit("results", "--time", "1", "--signal", "B:USR1@29")

    def quicken() -> None:
        place.until(lambda: list(place.folder.glob("results/packs/*/checkpoint-*")), 100, lambda: str(place.logs(name)))
        place.slow.unlink()

    watch = threading.Thread(target=quicken)
    watch.start()
    yield place, name
    watch.join()


@pytest.fixture(scope="module")
def alone(
    limited: object,
    tmp_path_factory: pytest.TempPathFactory,
    write_images: Callable[..., Path],
    numbers: Callable[[Path], dict[str, object]],
) -> dict[str, object]:
    """What the request comes to in one process, without Slurm."""
    folder = tmp_path_factory.mktemp("alone")
    write_images(folder / "bars.npz")
    for words in ([*REQUEST, "--plan-only"], ["work", "results"]):
        subprocess.run([COMMAND, *words], cwd=folder, check=True, capture_output=True, timeout=60)
    return numbers(folder / "results")


def test_an_array_gives_the_numbers_of_one_process(
    place: Place, alone: dict[str, object], numbers: Callable[[Path], dict[str, object]]
) -> None:
    name = place.submit("my results 100%", "--array", "2", "--time", "10", "--comment", 'it\'s "mine" # really')
    place.ends(name, {"COMPLETED"})
    assert numbers(place.folder / "my results 100%") == alone
    said = [line for line in place.logs(name) if "top KL" in line]
    assert len(said) == len(set(said)) == len(alone), "every cell once, by one of the elements"
    status = place.sweep("status", "my results 100%")
    assert "(2 elements): 2 completed" in status.stdout
    assert "3 complete" in status.stdout
    again = place.sweep("submit", "--", *REQUEST, "--out", "my results 100%")
    assert (again.exit_code, again.stdout) == (0, "nothing to submit: no cell is pending\n")
    assert place.sweep("cancel", "my results 100%").stdout == "nothing to cancel\n"


def test_what_dead_elements_held_is_finished_by_the_others(
    place: Place, alone: dict[str, object], numbers: Callable[[Path], dict[str, object]]
) -> None:
    """One loses its worker and is queued again, alone; one is killed as a whole; the third is left in peace."""
    place.slow.touch()
    name = place.submit("results", "--array", "3")
    place.until(lambda: len(place.holders("results")) == 3, 60, lambda: str(place.logs(name)))
    holders = place.holders("results")
    elements = {pack: element_of(pid) for pack, pid in holders.items()}
    assert sorted(elements.values()) == ["1", "2", "3"]
    loses, dies, stays = sorted(elements, key=elements.__getitem__, reverse=True)
    os.kill(holders[loses], signal.SIGKILL)
    for pid in (parent_of(holders[dies]), holders[dies]):
        os.kill(pid, signal.SIGKILL)
    place.until(lambda: place.slurm.elements(name).get(elements[loses]) == "PENDING", 20, lambda: str(place.logs(name)))
    assert place.slurm.elements(name)[elements[stays]] == "RUNNING"
    assert place.holders("results")[stays] == holders[stays]
    place.slow.unlink()
    place.ends(name, {"COMPLETED", "FAILED"})
    assert place.slurm.elements(name)[elements[dies]] == "FAILED"
    assert numbers(place.folder / "results") == alone
    said = [line for line in place.logs(name) if "top KL" in line]
    assert len(said) == len(set(said)) == len(alone)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def element_of(pid: int) -> str:
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(line.partition("=")[::2] for line in variables)["SLURM_ARRAY_TASK_ID"]


def test_cancelled_workers_leave_checkpoints_and_waiting_ones_are_seen(
    place: Place, alone: dict[str, object], numbers: Callable[[Path], dict[str, object]]
) -> None:
    place.slow.touch()
    name = place.submit("results")
    place.until(lambda: place.holders("results"), 60, lambda: str(place.logs(name)))
    assert place.sweep("submit", "--hold", "--", *REQUEST, "--out", "results").exit_code == 0
    status = place.sweep("status", "results").stdout
    assert ": running\n" in status
    assert ": pending (JobHeldUser)" in status
    jobs = json.loads(place.sweep("status", "results", "--json").stdout)["jobs"]
    assert [job["elements"] for job in jobs] == [1, 1]
    assert jobs[0]["states"] == {"running": 1}
    done = place.sweep("cancel", "results")
    assert done.exit_code == 0
    assert done.stdout.count("cancelled: slurm job") == 2
    place.ends(name, {"CANCELLED"})
    place.until(lambda: not list(place.folder.glob("results/packs/*/claim")), 15, lambda: str(place.logs(name)))
    assert len(list((place.folder / "results").glob("packs/*/checkpoint-*"))) == 1
    assert place.sweep("cancel", "results").stdout == "nothing to cancel\n"
    place.slow.unlink()
    script = shlex.quote(str(place.folder / "results" / "jobs" / name / "script.sh"))
    place.slurm.ask("bash", "-c", f"cd {shlex.quote(str(place.folder))} && sbatch {script}")
    place.until(lambda: "COMPLETED" in place.slurm.elements(name).values(), 60, lambda: str(place.logs(name)))
    place.ends(name, {"COMPLETED", "CANCELLED"})
    assert numbers(place.folder / "results") == alone, "the script that was kept finishes it"


def test_what_slurm_refuses_is_one_line_and_leaves_no_job(place: Place) -> None:
    for option, word in (("--partition=nowhere", "nowhere"), ("--colour=red", "colour")):
        done = place.sweep("submit", option, "--", *REQUEST, "--out", "results")
        assert done.exit_code == 1
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert word in line
        assert not list((place.folder / "results").glob("jobs/*"))


def test_the_time_limit_stops_queues_again_and_loses_nothing(
    limited: tuple[Place, str], alone: dict[str, object], numbers: Callable[[Path], dict[str, object]]
) -> None:
    place, name = limited
    place.ends(name, {"COMPLETED"}, 120)
    (own,) = [job for job in place.slurm.ask("scontrol", "show", "jobs").split("\n\n") if f"JobName={name}" in job]
    assert re.search(r"Restarts=[1-9]", own)
    assert numbers(place.folder / "results") == alone
