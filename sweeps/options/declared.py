"""The settings of a request as command-line options: what `rho`, `methods` and `depth-width` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hvae_core.data import BINARISE
from hvae_core.spec import PRECISIONS, SMOOTHINGS
from sweeps.loggers.registry import LOGGERS
from sweeps.options.click_commands import setting, together

MODEL = setting("--model", multiple=True, default=["mlp4x40"], metavar="MODEL...", help="mlp4x40, mlp64-32-16-8 ...")
DATASETS = setting(
    "--datasets",
    multiple=True,
    default=["mnist"],
    metavar="DATA...",
    help="Names, name:source, or paths of .npz files.",
)
OU_SAMPLES = setting("--ou-samples", type=int, default=5, help="K: correlated samples of each smoothed function.")
OBJECTIVE = together(
    OU_SAMPLES,
    setting("--smoothing", type=click.Choice(SMOOTHINGS), default="mean_std", help="What U_rho acts on."),
    setting("--beta-top", metavar="BETA|matched", help="Weight of the top KL; matched: c(rho, K), unsmoothed."),
    setting("--kl-anneal", metavar="A:B", help="KL weight 0 for A steps, up to 1 over B more; 1%:50% of the run."),
    setting("--free-bits", type=float, help="Floor in nats under each layer's KL."),
    setting("--iwae-k", type=int, default=1, help="Importance samples of the objective; 1: the ELBO."),
)
TRAINING = together(
    setting("--seeds", multiple=True, default=["1"], metavar="N|SEEDS", help="A count, or the seeds: 0,1,7 or 4:9."),
    setting("--steps", type=int, default=100_000, help="Optimiser steps of every model."),
    setting("--batch-size", type=int, default=100, help="Images in a minibatch."),
    setting("--lr", type=float, default=1e-3, help="Adam's learning rate."),
    setting("--precision", type=click.Choice(PRECISIONS), default="float32", help="Of training and evaluation."),
    setting("--binarise", type=click.Choice(BINARISE), default="static", help="How grey images become binary."),
    setting("--data-dir", type=click.Path(), help="Where data files lie."),
    setting("--eval-every", type=int, default=0, help="Steps between evaluations on validation images; 0: at the end."),
    setting("--ll-examples", type=int, default=500, help="Test images for the bound L_100; 0: leave it out."),
)
RUNNING = together(
    setting("--out", type=click.Path(), default="results", help="Results directory; what is complete there stays."),
    setting("--keep", type=click.Choice(("weights", "none")), default="weights", help="What to keep of a model."),
    setting("--pack", default="auto", metavar="auto|N", help="Models that train together as one stacked model."),
    setting("--gpus-per-trial", type=float, help="GPUs of each trial.  [default: 1 where there are GPUs]"),
    setting("--cpus-per-trial", type=int, default=1, help="CPU cores of each trial."),
    setting(
        "--address",
        environment=["RAY_ADDRESS"],
        default="local",
        help="local: a Ray of our own; auto or HOST:PORT: one that runs.",
    ),
    setting("--max-failures", type=int, default=2, help="How often a trial whose worker died is started again."),
    setting("--fail-fast", is_flag=True, help="Stop at the first cell that fails or diverges, or worker that dies."),
    setting("--log", type=click.Choice(LOGGERS), multiple=True, help="Write each cell that ends as a run there too."),
    setting("--retry-failed", is_flag=True, help="Run failed and diverged cells again."),
    click.option("--dry-run", "-n", is_flag=True, help="Say what is missing and how long it takes; run nothing."),
    click.option("--probe", is_flag=True, help="Time a few steps for the estimate where no complete cell tells."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    click.option("--plan-only", is_flag=True, help="Record the request for `hvae-sweep work` and run nothing."),
    click.option("--workers", type=click.IntRange(1), help="With --plan-only: how many are to share the packs."),
)


def rho_setting(*default: str) -> Callable[[Any], Any]:
    """Declare --rho with a command's own default."""
    text = "Values in [0, 1] or start:stop:step."
    return setting("--rho", multiple=True, default=default, metavar="RHO...", help=text)
