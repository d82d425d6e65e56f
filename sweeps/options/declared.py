"""The settings of a request as command-line options: what `rho`, `methods` and `depth-width` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sweeps.grid.declared import BY_NAME, names
from sweeps.loggers.registry import LOGGERS
from sweeps.options import completion
from sweeps.options.click_commands import setting, together

MODEL = setting(
    "--model",
    multiple=True,
    default=["mlp4x40"],
    metavar="MODEL...",
    help="Architectures: mlp4x40 is 4 stochastic layers of 40 units.",
)
DATASETS = setting(
    "--datasets",
    multiple=True,
    default=["mnist"],
    metavar="DATA...",
    help="Data sets: mnist, glyphs, omniglot, cifar10, name:source, paths of .npz files, or null:NAME.",
    shell_complete=completion.datasets,
)

NULL = setting("--null", is_flag=True, help="Add the null of each data set: every pixel shuffled over the images.")


def declared(name: str, **different: Any) -> Callable[[Any], Any]:
    """Declare the option of a cell's setting, as the table of settings has it but for what is `different`."""
    setting_of = BY_NAME[name]
    kinds: dict[str, Any] = {"whole": int, "real": float, "text": str}
    kind = click.Choice(setting_of.choices) if setting_of.choices else kinds[setting_of.kind]
    keywords = {"type": kind, "default": setting_of.default, "help": setting_of.help, **different}
    return setting(f"--{name.replace('_', '-')}", **keywords)


def axis(name: str, default: Any = None, **different: Any) -> Callable[[Any], Any]:
    """Declare the option of a setting that can be an axis of the grid: several values, a model for each."""
    value = BY_NAME[name].default if default is None else default
    metavar = different.pop("metavar", "N..." if BY_NAME[name].kind == "whole" else "X...")
    return declared(name, **{"type": str, "multiple": True, "default": [str(value)], "metavar": metavar, **different})


OU_SAMPLES = axis("ou_samples", metavar="K...")
AXES = ("steps", "batch_size", "lr")  # of the training run
OBJECTIVE = together(
    OU_SAMPLES,
    declared("smoothing"),
    declared("beta_top", type=str, multiple=True, default=None, metavar="BETA...|matched"),
    declared("kl_anneal", metavar="A:B"),
    declared("free_bits"),
    declared("iwae_k"),
    declared("system"),
    declared("pseudo_inputs"),
)
TRAINING = together(
    setting(
        "--seeds",
        multiple=True,
        default=["1"],
        metavar="N|SEEDS",
        help="Number of seeds, or a list of them: 0,1,7 or 4:9.",
    ),
    *(axis(name) if name in AXES else declared(name) for name in names("train")),
    declared("binarise"),
    setting("--data-dir", type=click.Path(), help="Directory of the data files."),
    setting(
        "--eval-every",
        type=int,
        default=0,
        help="Evaluate on validation images every so many steps; 0: at the end only.",
    ),
    setting("--ll-examples", type=int, default=500, help="Number of test images for the bound L_100; 0 skips it."),
)
RUNNING = together(
    setting(
        "--out",
        type=click.Path(),
        default="results",
        help="Results directory. Models that are complete there are not trained again.",
    ),
    setting(
        "--keep", type=click.Choice(("weights", "none")), default="weights", help="Keep each model's weights, or none."
    ),
    setting("--pack", default="auto", metavar="auto|N", help="How many models train together as one stack."),
    setting("--gpus-per-trial", type=float, help="GPUs per trial.  [default: 1 where there are GPUs]"),
    setting("--cpus-per-trial", type=int, default=1, help="CPU cores per trial."),
    setting(
        "--address",
        environment=["RAY_ADDRESS"],
        default="local",
        help="local starts Ray on this machine; auto or HOST:PORT connects to a running Ray.",
    ),
    setting("--max-failures", type=int, default=2, help="How often to restart a trial whose worker died."),
    setting("--fail-fast", is_flag=True, help="Stop when a cell fails or diverges, or a worker dies."),
    setting(
        "--log",
        type=click.Choice(LOGGERS),
        multiple=True,
        help="Also log each finished cell to it, as a run.",
    ),
    setting("--retry-failed", is_flag=True, help="Run failed and diverged cells again."),
    click.option(
        "--dry-run", "-n", is_flag=True, help="Print what would be trained and how long it would take; train nothing."
    ),
    click.option(
        "--probe",
        is_flag=True,
        help="Time a few training steps for the estimate of duration where no complete cell gives one.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option(
        "--plan-only", is_flag=True, help="Record the request, to be trained by `hvae-sweep work`, and train nothing."
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="With --plan-only: number of workers among which to divide the models.",
    ),
)


def rho_setting(*default: str) -> Callable[[Any], Any]:
    """Declare --rho with a command's own default."""
    text = "OU correlation rho in [0, 1], as values or start:stop:step; 1 is no smoothing."
    return setting("--rho", multiple=True, default=default, metavar="RHO...", help=text)
