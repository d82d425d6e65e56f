"""Slurm: the batch scripts that we write, and what we ask sbatch, squeue and scancel.

An array's elements are independent workers on one results directory: no ports, no shared Ray, so that shared nodes,
preemption and a lost element do no harm. Jobs are found by their name, which is unique, rather than by their number,
which another cluster gives to another job.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hvae_core.checks import SpecError
from sweeps.cluster.own_programs import COMMAND, ray_program
from sweeps.cluster.scheduler_programs import answer
from sweeps.errors import SchedulerError

Options = Mapping[str, str | None]  # of sbatch, by their long names; None: one that takes no value

WARNING_SECONDS = 120  # between USR1 and the time limit
LEAST_SECONDS = 300  # of a time limit: Slurm sends USR1 up to a minute early, and loading torch takes a while
OURS = ("job-name", "array")

ELEMENT = """
# Before the worker starts: a signal that finds no trap would end this script, and the worker with it.
trap 'kill -USR1 "$!"' USR1    # the time limit is near: write a checkpoint and stop
trap 'kill -TERM "$!"' TERM    # preempted or cancelled: the same
{command} &
worker=$!
while wait "$worker"; status=$?; kill -0 "$worker" 2>/dev/null; do :; done    # a signal ends the wait alone

# 138: stopped by USR1. 137: killed, for its memory say; three times at most. The bare job id could be the whole array.
if [ "$status" = 138 ] || {{ [ "$status" = 137 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt 3 ]; }}; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$status"
"""

CLUSTER = """
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1    # the time limit is near: go on from the last checkpoints in a new one
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export RAY_USAGE_STATS_ENABLED=0 PATH={folder}:"$PATH"    # Ray starts itself by its bare name
srun --ntasks-per-node=1 ray stop --force >/dev/null 2>&1    # what a run that was cut off left on these nodes
srun --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_ON_NODE" \\
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" \\
    --num-cpus "$SLURM_CPUS_ON_NODE" --num-gpus "${{SLURM_GPUS_ON_NODE:-0}}" \\
    -- {command} &
wait "$!"
"""


def array_script(folder: Path, root: Path, elements: int, options: Options) -> str:
    """Write a job array whose elements each take packs from the results directory until none is free.

    It is kept in `folder`, with what the elements print; `options` go over ours.
    """
    head = _header(folder, {"array": f"1-{elements}"} | dict(options))
    about = "# Each element takes packs of models from the results directory until none is free, one at a time."
    command = shlex.join([*COMMAND, "work", str(root), "--no-wait"])
    return f"{head}\n{about}{ELEMENT.format(command=command)}"


def ray_script(folder: Path, words: Sequence[str], options: Options) -> str:
    """Write one exclusive allocation with a Ray over its nodes, in which the request's own command runs."""
    head = _header(folder, {"exclusive": None, "ntasks-per-node": "1"} | dict(options))
    about = "# One Ray over all nodes of the allocation, and the request's own command on the first of them."
    programs = shlex.quote(str(Path(ray_program()).parent))
    command = shlex.join([*COMMAND, *words, "--address", "auto"])
    return f"{head}\n{about}{CLUSTER.format(folder=programs, command=command)}"


def submit(script: Path) -> str:
    """Submit a script and return the job's number; raises SchedulerError."""
    said = answer("sbatch", "--parsable", str(script)).strip()
    number = said.partition(";")[0]
    if not number.isdecimal():
        raise SchedulerError(f"sbatch said {said!r} instead of a job's number; nothing was recorded")
    return number


def states(names: Sequence[str]) -> dict[str, Counter[str]]:
    """Count the elements of jobs by what Slurm says of them, by the job's name; those it has forgotten are missing.

    Slurm forgets what has ended after some minutes. Raises SchedulerError.
    """
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    asked = (_me(), "--array", "--states=all", "--noheader", f"--name={','.join(names)}", "--format=%j|%T|%r")
    for line in answer("squeue", *asked).splitlines():
        name, state, reason = line.strip().split("|", 2)
        waits = f" ({reason})" if state == "PENDING" and reason != "None" else ""
        if name in found:
            found[name][state.lower() + waits] += 1
    return found


def cancel(name: str) -> None:
    """Cancel whatever is left of a job; raises SchedulerError."""
    answer("scancel", _me(), f"--name={name}")


def _me() -> str:
    return f"--user={getpass.getuser()}"


def _header(folder: Path, options: Options) -> str:
    log = "%A_%a.log" if "array" in options else "%j.log"
    ours: dict[str, str | None] = {
        "job-name": folder.name,
        "output": f"{str(folder).replace('%', '%%')}/{log}",
        "open-mode": "append",
        "requeue": None,
        "signal": f"B:USR1@{WARNING_SECONDS}",
    }
    lines = [
        f"#SBATCH --{key}" if v is None else f"#SBATCH --{key}={_word(v)}" for key, v in {**ours, **options}.items()
    ]
    return "\n".join(["#!/bin/bash", *lines])


def _word(text: str) -> str:
    return text if re.fullmatch(r"[^\s'\"\\#]+", text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def check(options: Options) -> None:
    """Raise SpecError for options that submit sets itself, and for a time limit that leaves no time to train."""
    for name in OURS:
        if name in options:
            raise SpecError(f"{name}: is not allowed among sbatch's options; submit sets it")
    seconds = _seconds(options.get("time") or "")
    if "signal" not in options and seconds is not None and seconds < LEAST_SECONDS:
        raise SpecError(f"time: {options['time']!r} is not allowed; it must be at least {LEAST_SECONDS // 60} minutes")


def has_gpus(options: Options) -> bool:
    """Whether these options ask for GPUs: --gres gpu:1, --gpus 2, --gpus-per-task 1, --tres-per-task gres/gpu:1, ..."""
    direct = any(name.startswith("gpus") and value != "0" for name, value in options.items())
    named = [value or "" for name, value in options.items() if name == "gres" or name.startswith("tres-per-")]
    return direct or any("gpu" in value for value in named)


def _seconds(time: str) -> float | None:
    """Read Slurm's [days-]hours[:minutes[:seconds]] or minutes[:seconds]; None for anything else."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if not found:
        return None
    days, *parts = found.groups()
    a, b, c = (int(part or 0) for part in parts)
    if days is None and parts[2] is None:
        return a * 60 + b
    return int(days or 0) * 86400 + a * 3600 + b * 60 + c
