"""`hvae-sweep memory`."""

from __future__ import annotations

import json
from typing import Any

import click

from sweeps.errors import ERROR
from sweeps.options.click_commands import Command, console, layer_options, setting, together
from sweeps.options.declared import declared, rho_setting
from sweeps.options.presets import MEMORY


@click.command(cls=Command, examples=["hvae-sweep memory", "hvae-sweep memory --quick --json"])
@together(
    setting(
        "--model",
        multiple=True,
        default=MEMORY["model"],
        metavar="MODEL...",
        help="Architectures.",
    ),
    setting("--image", default=MEMORY["image"], metavar="CxHxW/LEVELS", help="Shape of images, and 2 or 256 levels."),
    setting(
        "--methods",
        multiple=True,
        default=MEMORY["methods"],
        metavar="METHOD...",
        help="Training methods.",
    ),
    rho_setting("0.8"),
    declared("ou_samples"),
    setting("--iwae-k", type=int, default=MEMORY["iwae_k"], help="Importance samples of the method iwae."),
    declared("pseudo_inputs"),
    declared("mixture", default=MEMORY["mixture"]),
    declared("batch_size", default=MEMORY["batch_size"]),
    declared("precision"),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    layer_options("memory"),
)
def memory(**given: Any) -> int:
    """Measure the peak memory of training steps, as in the paper's Table 6.

    Each model takes two steps on random images in a process of its own, on the GPU if there is one. On a GPU this is
    the peak memory of tensors, on a CPU the peak memory of the process less what it used before.
    """
    from sweeps.options.memory import memory_request
    from sweeps.planning.peak_memory import measured, table

    out = console()
    peaks = measured(*memory_request(given), lambda line: out.print(line, markup=False, emoji=False, highlight=False))
    click.echo(json.dumps([peak.to_dict() for peak in peaks]) if given["as_json"] else table(peaks))
    return ERROR if any(peak.bytes is None for peak in peaks) else 0
