"""`hvae-sweep submit` and `cancel`."""

from __future__ import annotations

import click

from hvae_core.checks import SpecError
from sweeps.cluster.slurm import has_gpus
from sweeps.cluster.submissions import BACKENDS, Backend, Submission, new_name
from sweeps.cluster.submit import SubmitCommand, plan_request, scheduler_options, script_of, submit_job
from sweeps.commands.facts import print_facts
from sweeps.ledger.locate import results_at
from sweeps.options.click_commands import Command


@click.command(
    cls=SubmitCommand,
    context_settings={"ignore_unknown_options": True},
    examples=[
        "hvae-sweep submit --array 4 --gres gpu:1 --time 4:00:00 -- rho --model mlp4x40",
        "hvae-sweep submit --ray --nodes 2 --dry-run -- methods --preset table4",
    ],
)
@click.option(
    "--backend", type=click.Choice(BACKENDS), default="slurm", help="ray-job submits to the Ray cluster at RAY_ADDRESS."
)
@click.option("--array", type=click.IntRange(1, 10_000), help="Number of elements of a Slurm job array.  [default: 1]")
@click.option(
    "--ray", is_flag=True, help="Start Ray over the nodes of one exclusive Slurm allocation, instead of a job array."
)
@click.option("--dry-run", is_flag=True, help="Print the batch script; record and submit nothing.")
@click.argument("others", nargs=-1, type=click.UNPROCESSED, metavar="[SCHEDULER'S OPTIONS] -- REQUEST")
@click.pass_context
def submit(
    ctx: click.Context, backend: Backend, array: int | None, ray: bool, dry_run: bool, others: tuple[str, ...]
) -> None:
    """Submit a sweep, `rho ...`, `methods ...` or `depth-width ...`, to a cluster's scheduler.

    Other long options are passed to the scheduler: --partition gpu --gres gpu:1 --time 4:00:00. Each element of a job
    array is one worker, and the workers divide the models among themselves.
    """
    if ray and array:
        raise SpecError(f"array: {array} is not allowed with --ray, which is one job; give it --nodes")
    if backend != "slurm" and (ray or array):
        raise SpecError(f"{'ray' if ray else 'array'}: is not allowed with --backend {backend}; it is Slurm's")
    elements = None if ray or backend != "slurm" else array or 1
    options, request = scheduler_options(backend, others), ctx.meta["request"]
    ledger, packs = plan_request(ctx, request, elements, has_gpus(options), dry_run)
    if elements is not None and elements > packs > 0:
        click.echo(f"note: {packs} elements rather than {elements}: there are {packs} packs to take", err=True)
        elements = packs
    job = Submission(new_name(), backend, elements or 1, tuple(request))
    script = script_of(job, ledger, with_ray=elements is None, options=options)
    if dry_run:
        click.echo(script, nl=False)
        return
    if elements is not None and packs == 0:
        click.echo("nothing to submit: no cell is pending")
        return
    job = submit_job(job, ledger, script, options)
    print_facts({"results": str(ledger.root), "job": job.id, "elements": job.elements, "folder": job.name}, False)


@click.command(
    cls=Command, examples=["hvae-sweep cancel results/", "hvae-sweep status results/    # what runs, before"]
)
@click.argument("directory", type=click.Path())
def cancel(directory: str) -> None:
    """Cancel the jobs submitted for DIRECTORY that are queued or running; workers write checkpoints first."""
    from sweeps.cluster.submissions import cancel as stop
    from sweeps.cluster.submissions import job_states, submissions

    live = [state.submission for state in job_states(submissions(results_at("directory", directory))) if state.live]
    for job in live:
        stop(job)
        click.echo(f"cancelled: {job.backend} job {job.id or job.name}")
    if not live:
        click.echo("nothing to cancel")
