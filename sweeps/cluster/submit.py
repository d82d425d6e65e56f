"""From a command line to a scheduler: plan the request, write the script, submit it, remember it.

hvae-sweep submit [our options] [the scheduler's options] -- rho|methods|depth-width [the request's options]
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace

import click

from hvae_core.checks import SpecError
from sweeps.cluster import ray_job, slurm
from sweeps.cluster.own_programs import check_command
from sweeps.cluster.submissions import Backend, Submission
from sweeps.errors import SchedulerError
from sweeps.ledger.ledger import Ledger
from sweeps.ledger.locate import ledger_at
from sweeps.options.click_commands import Command

REQUESTS = ("rho", "methods", "depth-width")
FORM = "the request comes after --, as in `hvae-sweep submit --array 4 --time 4:00:00 -- rho --model mlp4x40`"


class SubmitCommand(Command):
    """A command that leaves what comes after -- alone, in ctx.meta["request"]."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Divide at the first --."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["request"] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


def plan_request(
    ctx: click.Context, words: Sequence[str], workers: int | None, gpus: bool, dry_run: bool
) -> tuple[Ledger, int]:
    """Run a request's own command up to its plan, which goes to stderr; raises what that command raises.

    With a number of workers, which have GPUs or have none, the request is recorded for them, unless it is a dry run.
    Returns its results directory and how many packs were recorded.
    """
    group = ctx.find_root().command
    if not isinstance(group, click.Group) or not words or words[0] not in REQUESTS:
        found = repr(words[0]) if words else "nothing"
        raise SpecError(
            f"submit: {found} after -- is not allowed; it must be one of {', '.join(REQUESTS)} and its options"
        )
    flags = [] if workers is None else ["--plan-only", f"--workers={workers}"]
    command = group.commands[words[0]]
    with command.make_context(words[0], [*words[1:], *flags], parent=ctx.parent) as sub, redirect_stdout(sys.stderr):
        given = dict(sub.params)
        for flag in ("dry_run", "plan_only") if workers is None else ("dry_run",):
            if given[flag]:
                raise SpecError(f"submit: --{flag.replace('_', '-')} after -- is not allowed; give it to submit")
        sub.params["dry_run"] = dry_run or workers is None
        if gpus and workers is not None and given["gpus_per_trial"] is None:
            sub.params["gpus_per_trial"] = 1.0
        command.invoke(sub)
    ledger = ledger_at("out", given["out"])
    packs = 0 if sub.params["dry_run"] else len(ledger.requests()[-1]["packs"])
    return ledger, packs


def scheduler_options(backend: Backend, words: Sequence[str]) -> dict[str, str | None]:
    """Read the options that are not ours, `--name value`, `--name=value` or `--name`; raises SpecError."""
    found: dict[str, str | None] = {}
    name = None  # the option that the next word may be the value of
    for word in words:
        if word.startswith("--") and len(word) > 2:
            key, equals, value = word[2:].partition("=")
            if key in found:
                raise SpecError(f"{key}: is given twice")
            found[key] = value if equals else None
            name = None if equals else key
        elif word.startswith("-"):
            raise SpecError(f"submit: {word!r} is not allowed; write the scheduler's options in full, as --partition")
        elif name is None:
            raise SpecError(f"submit: {word!r} is not allowed there; {FORM}")
        else:
            found[name], name = word, None
    for key, given in found.items():
        if given is not None and (not given or not given.isprintable()):
            raise SpecError(f"{key}: {given!r} is not allowed; it must be text in one line")
    if backend == "slurm":
        slurm.check(found)
    return found


def script_of(job: Submission, ledger: Ledger, with_ray: bool, options: Mapping[str, str | None]) -> str:
    """Write what is to be submitted: an array of workers, or one job that runs the request with a Ray of its own."""
    if job.backend == "ray-job":
        return ray_job.script(job.request)
    folder = ledger.folder("jobs") / job.name
    if with_ray:
        return slurm.ray_script(folder, job.request, options)
    return slurm.array_script(folder, ledger.root, job.elements, options)


def submit_job(job: Submission, ledger: Ledger, script: str, options: Mapping[str, str | None]) -> Submission:
    """Keep a job's script in the results directory, submit it and remember that; raises SchedulerError."""
    check_command()
    folder = ledger.folder("jobs") / job.name
    folder.mkdir(parents=True)
    path = folder / "script.sh"
    path.write_text(script)
    job.write(ledger)  # before it is sent: it is found by its name, whatever happens here next
    try:
        found = slurm.submit(path) if job.backend == "slurm" else ray_job.submit(job.name, path, options)
    except SchedulerError:
        shutil.rmtree(folder)
        raise
    job = replace(job, id=found)
    job.write(ledger)
    return job
