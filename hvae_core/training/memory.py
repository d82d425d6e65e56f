"""How much device memory a member of a pack takes, before it is built: an upper estimate, held to measurements."""

from __future__ import annotations

from hvae_core.evaluation.active_units import ACTIVE_BLOCK, ACTIVE_EXAMPLES, PATHS
from hvae_core.evaluation.evaluate import BLOCK
from hvae_core.families.mlp import ModelSpec
from hvae_core.spec import ObjectiveSpec, TrainSpec


def member_bytes(
    spec: ModelSpec, objective: ObjectiveSpec, train: TrainSpec, pixels: int, captured: bool = False
) -> int:
    """Peak bytes that one more member adds to a pack, in training and in evaluation; what members share is left out.

    Training holds the weights, Adam's two moments and the gradients, and what the backward pass needs: of each
    network two hidden layers and about five tensors of its output's width per row, where a prior has K rows for each
    posterior sample. Evaluation holds the weights and the moments, and the rows of its largest blocks. A step captured
    as a CUDA graph keeps what it needs while evaluation goes on.
    """
    B, K = train.batch_size * objective.iwae_k, objective.ou_samples
    rows = B * (2 * spec.hidden[0] + 2 * pixels)  # the likelihood's
    for i, (hidden, latents) in enumerate(zip(spec.hidden, spec.latents, strict=True)):
        rows += B * (2 * hidden + 5 * latents)
        rows += K * B * (2 * hidden + 5 * spec.latents[i - 1]) if i else 0
    weights = spec.parameters(pixels)
    widest = 2 * max(spec.hidden) + 10 * max(spec.latents)
    evaluation = ACTIVE_BLOCK * PATHS * widest + BLOCK * 2 * pixels
    kept = 3 * ACTIVE_EXAMPLES * sum(spec.latents) * 8  # of active units, three float64 each per example
    number = 8 if train.precision == "float64" else 4
    phases = (number * (weights + rows), number * evaluation + kept)
    return 3 * number * weights + (sum(phases) if captured else max(phases))
