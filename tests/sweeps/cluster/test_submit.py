"""Submitting without any scheduler: what is written, what is refused, and what the script does when things happen."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli
from sweeps.cluster import ray_job, slurm
from sweeps.cluster.scheduler_programs import answer
from sweeps.cluster.submissions import Queue, Submission, job_states, new_name, submissions
from sweeps.cluster.submit import scheduler_options, submit_job
from sweeps.errors import SchedulerError
from sweeps.ledger.atomic_files import write_json
from sweeps.ledger.ledger import Ledger

TINY = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "1", "--steps", "6"]


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.sweep, arguments, catch_exceptions=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_images: Callable[..., Path]) -> Path:
    """A directory with images, where no scheduler is to be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    write_images(tmp_path / "bars.npz")
    return tmp_path


def test_a_dry_run_prints_the_script_and_leaves_nothing(here: Path) -> None:
    done = sweep(
        "submit", "--array", "3", "--partition", "gpu", "--gres=gpu:1", "--exclusive", "--dry-run", "--", *TINY
    )
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    assert options[-4:] == ["array=1-3", "partition=gpu", "gres=gpu:1", "exclusive"]
    assert {"requeue", "signal=B:USR1@120", "open-mode=append"} < set(options)
    assert f"work {here}/results --no-wait &" in done.stdout
    assert "cells: 2" in done.stderr
    assert not (here / "results").exists()


def test_one_ray_runs_the_request_itself(here: Path) -> None:
    done = sweep("submit", "--ray", "--nodes", "2", "--dry-run", "--", *TINY, "--out", "it's here")
    assert done.exit_code == 0, done.stderr
    assert "#SBATCH --exclusive\n" in done.stdout
    assert "#SBATCH --nodes=2\n" in done.stdout
    assert "symmetric-run" in done.stdout
    words = " --steps 6 --out 'it'\"'\"'s here' --address auto &\n"
    assert words in done.stdout, "what was typed, quoted for a shell, with the address of that Ray"
    subprocess.run(["/bin/bash", "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--array", "0", "--", *TINY], "0"),
        (["--array", "many", "--", *TINY], "many"),
        (["--array", "4", "--ray", "--", *TINY], "--ray"),
        (["--backend", "pbs", "--", *TINY], "pbs"),
        (["--backend", "ray-job", "--array", "2", "--", *TINY], "array"),
        (["--backend", "ray-job", "--ray", "--", *TINY], "ray"),
        ([], "rho, methods, depth-width"),
        (["--"], "rho, methods, depth-width"),
        (["--", "status", "results"], "status"),
        (["--", "nosuch"], "nosuch"),
        (TINY, "after --"),
        (["--time", "4:00:00", *TINY], "after --"),
        (["-p", "gpu", "--", *TINY], "-p"),
        (["--time", "4:00:00", "--time=5", "--", *TINY], "twice"),
        (["--time", "2", "--", *TINY], "5 minutes"),
        (["--time", "0:04:59", "--", *TINY], "5 minutes"),
        (["--job-name", "mine", "--", *TINY], "job-name"),
        (["--comment", "a\nb", "--", *TINY], "comment"),
        (["--partition", "", "--", *TINY], "partition"),
        (["--", *TINY, "--rho", "1.5"], "1.5"),
        (["--", *TINY, "--datasets", "nosuch"], "nosuch"),
        (["--", *TINY, "--out", "bars.npz"], "bars.npz"),
        (["--", *TINY, "--dry-run"], "dry-run"),
        (["--ray", "--", *TINY, "--plan-only"], "plan-only"),
    ],
)
def test_a_mistake_is_one_line_and_records_nothing(here: Path, words: list[str], said: str) -> None:
    done = sweep("submit", *words)
    assert done.exit_code == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert not (here / "results").exists()


def test_without_the_scheduler_the_request_is_planned_and_no_job_is_remembered(here: Path) -> None:
    done = sweep("submit", "--", *TINY)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "error: sbatch: cannot be run here: No such file or directory"
    assert not list((here / "results").glob("jobs/*"))
    assert len(Ledger(here / "results").requests()) == 1


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("4", 240), ("4:30", 270), ("1:00:00", 3600), ("2-1", 176400), ("1-02:03:04", 93784), ("UNLIMITED", None)],
)
def test_time_limits_are_read_as_slurm_reads_them(time: str, seconds: float | None) -> None:
    assert slurm._seconds(time) == seconds


def test_options_of_the_scheduler_in_every_form() -> None:
    words = ["--partition", "gpu", "--exclusive", "--gres=gpu:a100:1", "--comment", "two words", "--hold"]
    expected = {"partition": "gpu", "exclusive": None, "gres": "gpu:a100:1", "comment": "two words", "hold": None}
    assert scheduler_options("slurm", words) == expected


def test_as_many_packs_as_workers(here: Path) -> None:
    assert sweep(*TINY, "--rho", "0:0.4:0.1", "--plan-only", "--workers", "4").exit_code == 0
    assert len(Ledger(here / "results").packs()) == 4
    done = sweep(*TINY, "--workers", "4")
    assert done.exit_code == 2
    assert "--plan-only" in done.stderr


@pytest.mark.parametrize(
    "options",
    [["--gres", "gpu:a100:1"], ["--gpus-per-node=1"], ["--gpus", "2"], ["--tres-per-task", "cpu:4,gres/gpu:1"]],
)
def test_packs_are_planned_for_the_gpus_of_the_job(
    options: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU takes the seeds of a model together; the machine that submits has none."""
    request = ["--dry-run", "--", *TINY, "--seeds", "3"]
    assert "packs: 1\n" in sweep("submit", *options, *request).stderr
    assert "packs: 3\n" in sweep("submit", "--gres", "tmp:1", "--gpus", "0", *request).stderr
    assert "packs: 3\n" in sweep("submit", *options, *request, "--gpus-per-trial", "0").stderr
    monkeypatch.setenv("HVAE_GPUS_PER_TRIAL", "0")
    assert "packs: 3\n" in sweep("submit", *options, *request).stderr


def test_nothing_is_cancelled_where_nothing_is(here: Path) -> None:
    done = sweep("cancel", "nowhere")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: directory: 'nowhere' is no results directory")


def test_a_job_is_remembered_before_it_is_sent(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens between the scheduler's yes and our next line, the job can be found and cancelled."""
    job = Submission(new_name(), "slurm", 1, ("rho",))

    def killed(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "submit", killed)
    with pytest.raises(KeyboardInterrupt):
        submit_job(job, ledger, "#!/bin/bash\n", {})
    assert submissions(ledger) == [job]


@pytest.mark.parametrize(
    ("words", "environment", "address"),
    [
        ([], {}, "local"),
        ([], {"RAY_ADDRESS": "10.0.0.1:6379"}, "10.0.0.1:6379"),
        ([], {"RAY_ADDRESS": "10.0.0.1:6379", "HVAE_ADDRESS": "auto"}, "auto"),
        (["--address", "local"], {"RAY_ADDRESS": "10.0.0.1:6379"}, "local"),
    ],
)
def test_where_the_address_comes_from(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], environment: dict[str, str], address: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sweep(*TINY, *words, "--plan-only").exit_code == 0
    assert tomllib.loads((here / "results" / "sweep.toml").read_text())["address"] == address


def test_jobs_that_somebody_else_wrote_down_are_passed_over(ledger: Ledger) -> None:
    """Their names go to scancel, their requests nowhere; only what has our shape is taken."""
    good = {"backend": "slurm", "id": "7", "elements": 2, "request": ["rho"]}
    names = [new_name(), new_name(), "--user=root", new_name(), new_name()]
    for name, content in zip(names, [good, {**good, "backend": "sh"}, good, {**good, "id": 7}, []], strict=True):
        (ledger.root / "jobs" / name).mkdir(parents=True)
        write_json(ledger.root / "jobs" / name / "submission.json", content)
    assert [job.name for job in submissions(ledger)] == [names[0]]


def test_the_states_of_jobs(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for elements in (4, 1):
        content = {"backend": "slurm", "id": "7", "elements": elements, "request": ["rho"]}
        (folder := ledger.root / "jobs" / f"hvae-20260101T00000{elements}Z-000000").mkdir(parents=True)
        write_json(folder / "submission.json", content)
    one, four = (f"hvae-20260101T00000{n}Z-000000" for n in (1, 4))
    said = f"{four}|RUNNING|None\n{four}|PENDING|Resources\n{four}|RUNNING|None\nelse|RUNNING|None\n"
    monkeypatch.setattr(slurm, "answer", lambda *command: said)
    first, second = job_states(submissions(ledger))
    assert (first.submission.name, first.line(), first.live) == (one, "slurm job 7: ended", False)
    assert second.line() == "slurm job 7 (4 elements): 2 running, 1 pending (Resources), 1 ended"
    assert second.live
    monkeypatch.setattr(slurm, "answer", lambda *command: answer("/nowhere/squeue"))
    unknown = job_states(submissions(ledger))[0]
    assert unknown.line() == "slurm job 7: state unknown here: squeue: cannot be run here: No such file or directory"
    assert unknown.live, "nobody knows that it is not"
    assert [state.submission.name for state in Queue(ledger).look()] == [four], (
        "the latest alone where nothing is known"
    )


def test_a_job_of_ray_and_its_state(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words that go to `ray job`; that Ray understands them is seen where ray[default] is installed."""
    ray = here / "ray"
    ray.write_text('#!/bin/bash\necho "$@" >> asked\necho "Status for job \'$3\': RUNNING"\n')
    ray.chmod(0o755)
    monkeypatch.setattr(ray_job, "ray_program", lambda: str(ray))
    done = sweep("submit", "--backend", "ray-job", "--entrypoint-num-cpus", "1", "--", *TINY)
    assert done.exit_code == 0, done.stderr
    (script,) = here.glob("results/jobs/*/script.sh")
    assert script.read_text().startswith(f"cd {here} && ")
    assert script.read_text().endswith(
        " rho --model mlp2x3h6 --datasets bars.npz --rho 0.5 1 --steps 6 --address auto\n"
    )
    name = script.parent.name
    assert f"ray-job job {name}: running" in sweep("status", "results").stdout
    assert sweep("cancel", "results").stdout == f"cancelled: ray-job job {name}\n"
    submit, *_, stop = (here / "asked").read_text().splitlines()
    assert submit == f"job submit --no-wait --submission-id={name} --entrypoint-num-cpus=1 -- bash {script}"
    assert stop == f"job stop --no-wait {name}"


TRACEBACK = "echo 'Traceback (most recent' >&2; echo '  File x' >&2; echo 'a.BError: why' >&2; echo more >&2; exit 1"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo one >&2; echo two >&2; exit 3", "one; two"),
        ("exit 3", "exit status 3"),
        ("echo out; exit 1", "out"),
        (TRACEBACK, "a.BError: why"),
    ],
)
def test_a_program_in_trouble_is_one_line(program: str, said: str) -> None:
    with pytest.raises(SchedulerError, match=f"^{said} \\(bash\\)$"):
        answer("/bin/bash", "-c", program)


@pytest.mark.parametrize("said", ["", "no more than 4 jobs", "Submitted batch job 7"])
def test_an_sbatch_that_names_no_job_submitted_none(here: Path, said: str) -> None:
    (here / "sbatch").write_text(f"#!/bin/sh\necho '{said}'\n")
    (here / "sbatch").chmod(0o755)
    done = sweep("submit", "--", *TINY)
    assert done.exit_code == 1
    assert "instead of a job's number" in done.stderr
    assert not list(here.glob("results/jobs/*"))


def test_an_array_has_no_more_elements_than_there_are_packs(here: Path) -> None:
    (here / "sbatch").write_text("#!/bin/sh\ncat $2 > asked\necho 7\n")
    (here / "sbatch").chmod(0o755)
    done = sweep("submit", "--array", "5000", "--", *TINY)
    assert done.exit_code == 0, done.stderr
    assert "2 elements rather than 5000: there are 2 packs to take" in done.stderr
    (script,) = here.glob("results/jobs/*/script.sh")
    assert "#SBATCH --array=1-2\n" in script.read_text()
    assert "elements: 2" in done.stdout


class Element:
    """The array's script under bash, with a worker and a scontrol that write down what happens to them."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, worker: str, restarts: int = 0, before: str = ""
    ) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self._program("scontrol", 'echo "scontrol $@" >> events')
        self._program("hvae-sweep", f"echo start >> events\n{worker}")
        monkeypatch.setattr(slurm, "COMMAND", (str(folder / "bin" / "hvae-sweep"),))
        (folder / "script").write_text(slurm.array_script(folder, folder / "results", 2, {}))
        numbers = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "7"}
        more = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SLURM_RESTART_COUNT": str(restarts)}
        if before:
            (folder / "before").write_text(f"unset BASH_ENV\n{before}\n")
            more["BASH_ENV"] = str(folder / "before")
        self.process = subprocess.Popen(["/bin/bash", "script"], cwd=folder, env={**os.environ, **numbers, **more})

    def _program(self, name: str, text: str) -> None:
        (path := self.folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def events(self) -> list[str]:
        path = self.folder / "events"
        return path.read_text().splitlines() if path.exists() else []

    def end(self) -> tuple[int, list[str]]:
        return self.process.wait(60), self.events()


AGAIN = "scontrol requeue 7_2"
WAITS = "trap 'echo USR1 >> events; stop=138' USR1; trap 'echo TERM >> events; stop=143' TERM; echo ready >> events\n"
WAITS += 'while [ -z "$stop" ]; do sleep 0.05; done; sleep 0.3; echo checkpoint >> events; exit $stop'


@pytest.mark.parametrize("before", ["", "trap 'sleep 0.2' DEBUG"], ids=["at once", "slow"])
@pytest.mark.parametrize(
    ("number", "code", "then"), [(signal.SIGUSR1, 138, [AGAIN]), (signal.SIGTERM, 143, [])], ids=["USR1", "TERM"]
)
def test_a_signal_reaches_the_worker_and_its_checkpoint_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, then: list[str], before: str
) -> None:
    """However early: a script that takes 0.2 s over each of its commands misses none either."""
    element = Element(tmp_path, monkeypatch, WAITS, before=before)
    deadline = time.monotonic() + 60
    while "ready" not in element.events():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    element.process.send_signal(number)
    assert element.end() == (code, ["start", "ready", number.name.removeprefix("SIG"), "checkpoint", *then])


@pytest.mark.parametrize(
    ("worker", "restarts", "code", "then"),
    [
        ("exit 0", 0, 0, []),
        ("exit 1", 0, 1, []),
        ("exit 3", 0, 3, []),
        ("kill -KILL $$", 0, 137, [AGAIN]),
        ("kill -KILL $$", 3, 137, []),
        ("kill -USR1 $$", 9, 138, [AGAIN]),
    ],
)
def test_only_what_was_stopped_or_killed_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str, restarts: int, code: int, then: list[str]
) -> None:
    assert Element(tmp_path, monkeypatch, worker, restarts).end() == (code, ["start", *then])


def test_the_job_around_a_submission_does_not_leak_into_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known of submitit (1782): sbatch, called within a job, takes that job's SLURM_* for wishes."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "64")
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    (here / "sbatch").write_text("#!/bin/sh\nset > asked\necho 7\n")
    (here / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    assert answer("sbatch").strip() == "7"
    names = {line.partition("=")[0] for line in (here / "asked").read_text().splitlines()}
    assert {name for name in names if name.startswith("SLURM_")} == {"SLURM_CONF"}
