"""Cost of a training step: a pack of members, the loop one would write without stacking, and the arithmetic.

    python -m benchmarks.pack_step --model mlp3x16h64 --batch-size 64 --members 11

Prints milliseconds per model-step and ratios, all from one process and one thread, the variants in turn so that the
machine's drift hits them alike. `plain` is plain_loop.py: one eager model, a DataLoader, the default Adam. `products`
is the pack's batched matrix products in their own shapes and nothing else; `floor` is the same arithmetic at the rate
of one large float32 product: what a step would cost if only that took time. With --device cuda a pack's step is one
CUDA graph and M = 1 is eager.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.plain_loop import PlainHVAE, steps
from hvae_core.data import load_dataset
from hvae_core.spec import Member, ModelSpec, ObjectiveSpec, TrainSpec
from hvae_core.train import PackTrainer


def products(spec: ModelSpec, pixels: int, batch: int, ou_samples: int) -> list[tuple[int, int, int]]:
    """List (a, b, c) of every product (a, b) @ (b, c) of one model-step, forward and backward."""
    below = (pixels, *spec.latents[:-1])
    networks = [(batch, spec.latents[0], spec.hidden[0], pixels)]  # rows, inputs, hidden, outputs: the likelihood's
    for i, (lower, hidden, upper) in enumerate(zip(below, spec.hidden, spec.latents, strict=True)):
        networks.append((batch, lower, hidden, 2 * upper))
        if i:
            networks.append((batch * ou_samples, upper, hidden, 2 * lower))
    listed = []
    for rows, inputs, hidden, outputs in networks:
        for place, (a, b) in enumerate([(inputs, hidden), (hidden, hidden), (hidden, outputs)]):
            listed += [(rows, a, b), (a, rows, b)]  # the layer; the gradient of its weights
            if place or inputs != pixels:  # the images need no gradient
                listed.append((rows, b, a))
    return listed


def seconds_per_step(advance: Callable[[], object], count: int) -> float:
    """Wall time of one step, over `count` steps."""
    start = time.perf_counter()
    for _ in range(count):
        advance()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def product_rate(device: str = "cpu", repeats: int = 30) -> float:
    """Operations per second of an n^3 float32 product: n = 512, on a GPU 8192, which fills it."""
    n = 512 if device == "cpu" else 8192
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    seconds_per_step(lambda: a @ b, 2)
    return 2 * n**3 / seconds_per_step(lambda: a @ b, repeats)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mlp4x16h64")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--members", type=int, default=11)
    parser.add_argument("--ou-samples", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=40, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data, spec = load_dataset("mnist"), ModelSpec.parse(given.model)
    train = TrainSpec(batch_size=given.batch_size)

    def trainer(members: int) -> PackTrainer:
        pack = [Member(ObjectiveSpec(i / max(1, members - 1), given.ou_samples)) for i in range(members)]
        return PackTrainer(spec, pack, train, data, torch.device(given.device), captured=members > 1)

    single, packed = trainer(1).advance, trainer(given.members).advance
    torch.manual_seed(0)
    eager = PlainHVAE(spec, data.train.shape[1], 0.9, given.ou_samples)
    loop = steps(eager, torch.from_numpy(data.train).float(), given.batch_size, given.device)
    variants = (lambda: next(loop), single, packed)
    for advance in variants:  # warm up
        seconds_per_step(advance, 5)
    shapes = products(spec, data.train.shape[1], given.batch_size, given.ou_samples)
    members, operations = given.members, sum(2 * a * b * c for a, b, c in shapes)

    def random(*shape: int) -> Tensor:
        return torch.randn(members, *shape, device=given.device)

    factors = [(random(a, b), random(b, c)) for a, b, c in shapes]

    def multiply() -> None:
        for left, right in factors:
            torch.bmm(left, right)

    rows = []
    for _ in range(given.rounds):
        plain, one = (seconds_per_step(advance, given.steps) for advance in variants[:2])
        many, alone = (seconds_per_step(f, max(1, given.steps // 4)) / members for f in (packed, multiply))
        rows.append((plain, one, many, alone, operations / product_rate(given.device)))
    plain, one, many, alone, floor = (statistics.median(column) for column in zip(*rows, strict=True))
    pack = f"{spec.name}, batch {given.batch_size}, K = {given.ou_samples}, {members} members"
    print(f"{pack}, torch {torch.__version__}, {given.device}; ms per model-step")
    print("| plain | M = 1 | packed | products | floor | plain / packed | packed / products | packed / floor |")
    print("|---|---|---|---|---|---|---|---|")
    times = " | ".join(f"{1e3 * seconds:.2f}" for seconds in (plain, one, many, alone, floor))
    print(f"| {times} | {plain / many:.2f} | {many / alone:.2f} | {many / floor:.2f} |")


if __name__ == "__main__":
    main()
