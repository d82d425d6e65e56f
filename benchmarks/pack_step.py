"""Cost of a training step: a pack of members, the loop one would write without stacking, and the arithmetic.

    python -m benchmarks.pack_step --model mlp3x16h64 --batch-size 64 --members 11

Prints milliseconds per model-step and ratios, all from one process and one thread, the variants in turn so that the
machine's drift hits them alike. `plain` is plain_loop.py: one eager model, a DataLoader, the default Adam. `floor` is
the step's matrix products at the rate of one large float32 product measured in the same run: what the step would cost
if nothing but the products took time. With --device cuda a pack's step is one CUDA graph and M = 1 is eager.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.plain_loop import PlainHVAE, steps
from hvae_core.data import load_dataset
from hvae_core.spec import Member, ModelSpec, ObjectiveSpec, TrainSpec
from hvae_core.train import PackTrainer


def operations(spec: ModelSpec, pixels: int, batch: int, ou_samples: int) -> float:
    """Floating-point operations of one model-step's matrix products, forward and backward."""

    def network(inputs: int, hidden: int, outputs: int, rows: int, input_gradient: bool = True) -> int:
        layers = (inputs * hidden, hidden * hidden, hidden * outputs)
        forward = 2 * rows * sum(layers)
        backward = 2 * forward - (0 if input_gradient else 2 * rows * layers[0])
        return forward + backward

    below = (pixels, *spec.latents[:-1])
    total = 0
    for i, (lower, hidden, upper) in enumerate(zip(below, spec.hidden, spec.latents, strict=True)):
        total += network(lower, hidden, 2 * upper, batch, input_gradient=i > 0)
        total += network(upper, hidden, 2 * lower, batch * ou_samples) if i else network(upper, hidden, lower, batch)
    return float(total)


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

    alone, packed = trainer(1).advance, trainer(given.members).advance
    torch.manual_seed(0)
    eager = PlainHVAE(spec, data.train.shape[1], 0.9, given.ou_samples)
    loop = steps(eager, torch.from_numpy(data.train).float(), given.batch_size, given.device)
    variants = (lambda: next(loop), alone, packed)
    for advance in variants:  # warm up
        seconds_per_step(advance, 5)
    floor = operations(spec, data.train.shape[1], given.batch_size, given.ou_samples)
    rows = []
    for _ in range(given.rounds):
        plain, one = (seconds_per_step(advance, given.steps) for advance in variants[:2])
        many = seconds_per_step(packed, max(1, given.steps // 4)) / given.members
        rows.append((plain, one, many, floor / product_rate(given.device)))
    plain, one, many, least = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"{spec.name}, batch {given.batch_size}, K = {given.ou_samples}, torch {torch.__version__}, {given.device}")
    print("| plain, ms | M = 1, ms | packed, ms per model-step | floor, ms | plain / packed | packed / floor |")
    print("|---|---|---|---|---|---|")
    packed_ms, ratios = f"{many * 1e3:.2f} (M = {given.members})", f"{plain / many:.2f} | {many / least:.2f}"
    print(f"| {plain * 1e3:.2f} | {one * 1e3:.2f} | {packed_ms} | {least * 1e3:.2f} | {ratios} |")


if __name__ == "__main__":
    main()
