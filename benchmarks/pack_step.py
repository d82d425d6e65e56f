"""Cost of a training step: a pack of members, the loop one would write without stacking, and the arithmetic.

    python -m benchmarks.pack_step --model mlp3x16h64 --batch-size 64 --members 11

Prints milliseconds per model-step and ratios for each size of a pack, all from one process and one thread, the
variants in turn so that the machine's drift hits them alike. `plain` is plain_loop.py: one eager model, a DataLoader,
the default Adam (not for skips). `products` is an MLP pack's batched matrix products in their own
shapes and nothing else; `floor` is the arithmetic of a model-step, as torch counts it, at the rate of one large product
of the same precision: what a step would cost if only that took time. With bf16 the plain loop stays float32, and its
products and the floor are those of bfloat16.
With --device cuda a pack's step is one CUDA graph, and the column M = 1 is an eager pack of one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_loop import PlainHVAE, steps
from hvae_core.data import Dataset, load_dataset
from hvae_core.families.conv import Conv
from hvae_core.families.mlp import MLP
from hvae_core.families.registry import parse_model
from hvae_core.families.resnet import ResNet
from hvae_core.image import ImageSpec
from hvae_core.spec import PRECISIONS, Member, ObjectiveSpec, TrainSpec
from hvae_core.training.trainer import DTYPES, PackTrainer

COLUMNS = ("plain", "M = 1", "packed", "products", "floor")


def products(spec: MLP, pixels: int, batch: int, ou_samples: int) -> list[tuple[int, int, int]]:
    """List (a, b, c) of every product (a, b) @ (b, c) of one model-step, forward and backward."""
    below = (pixels, *spec.widths[:-1])
    networks = [(batch, spec.widths[0], spec.hidden[0], pixels)]  # rows, inputs, hidden, outputs: the likelihood's
    for i, (lower, hidden, upper) in enumerate(zip(below, spec.hidden, spec.widths, strict=True)):
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


def products_alone(
    shapes: list[tuple[int, int, int]], members: int, dtype: torch.dtype, device: str
) -> Callable[[], None]:
    """Return a function that does the batched products of a pack's step and nothing else."""

    def random(*shape: int) -> Tensor:
        return torch.randn(members, *shape, device=device, dtype=dtype)

    factors = [(random(a, b), random(b, c)) for a, b, c in shapes]

    def multiply() -> None:
        for left, right in factors:
            torch.bmm(left, right)

    return multiply


def product_rate(dtype: torch.dtype, device: str = "cpu", repeats: int = 30) -> float:
    """Operations per second of an n^3 product: n = 512, on a GPU 8192, which fills it."""
    n = 512 if device == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    seconds_per_step(lambda: a @ b, 2)
    return 2 * n**3 / seconds_per_step(lambda: a @ b, repeats)


def counted(pack: PackTrainer) -> int:
    """Operations of one step of a pack of one, forward and backward, in its products and convolutions."""
    pack.advance()
    with FlopCounterMode(display=False) as counter:
        pack.advance()
    return int(counter.get_total_flops())


def random_images(image: ImageSpec) -> Dataset:
    """Return noise: a step costs the same on it."""
    draw = np.random.default_rng(0)
    images = {
        key: draw.integers(0, image.levels, (500, *image.shape), dtype=np.uint8) for key in ("train", "valid", "test")
    }
    binarise = "none" if image.levels > 2 else "static"
    return Dataset.of(name="noise", source="", reference="", shape=image.shape, images=images, binarise=binarise)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mlp4x16h64")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--members", type=int, nargs="+", default=[11])
    parser.add_argument("--ou-samples", type=int, default=5)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--image", help="random images of this shape and levels, 3x32x32/256, instead of mnist")
    parser.add_argument("--mixture", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high" if given.precision == "tf32" else "highest")
    spec = parse_model(given.model)
    data = random_images(ImageSpec.read(given.image)) if given.image else load_dataset("mnist")
    train = TrainSpec(batch_size=given.batch_size, precision=given.precision, mixture=given.mixture)
    dtype = DTYPES[train.precision]
    of_products = torch.bfloat16 if train.precision == "bf16" else dtype

    def trainer(members: int, captured: bool) -> PackTrainer:
        pack = [Member(ObjectiveSpec(i / max(1, members - 1), given.ou_samples)) for i in range(members)]
        return PackTrainer(spec, pack, train, data, torch.device(given.device), captured)

    torch.manual_seed(0)
    variants: dict[str, Callable[[], object]] = {}
    if isinstance(spec, MLP | Conv) or (isinstance(spec, ResNet) and not spec.skip):
        eager = PlainHVAE(spec, data.image, 0.9, given.ou_samples, given.mixture).to(dtype)
        loop = steps(eager, torch.from_numpy(data.train).flatten(1).to(dtype), given.batch_size, given.device)
        variants["plain"] = lambda: next(loop)
    variants["M = 1"] = trainer(1, captured=False).advance
    operations = counted(trainer(1, captured=False))
    what = f"{spec.name}, {data.image.text}, batch {given.batch_size}, K = {given.ou_samples}, {given.precision}"
    print(f"{what}, torch {torch.__version__}, {given.device}; ms per model-step")
    ratios = {"plain / packed": ("plain", "packed"), "packed / products": ("packed", "products")}
    ratios |= {"packed / floor": ("packed", "floor")}
    print(f"| members | {' | '.join((*COLUMNS, *ratios))} |")
    print("|---" * (1 + len(COLUMNS) + len(ratios)) + "|")
    for members in given.members:
        variants["packed"] = trainer(members, captured=True).advance
        if isinstance(spec, MLP):
            shapes = products(spec, data.image.pixels, given.batch_size, given.ou_samples)
            variants["products"] = products_alone(shapes, members, of_products, given.device)
        taken: dict[str, list[float]] = {name: [] for name in (*variants, "floor")}
        for advance in variants.values():  # warm up
            seconds_per_step(advance, 5)
        for _ in range(given.rounds):
            for name, advance in variants.items():
                alone = name in ("plain", "M = 1")
                seconds = seconds_per_step(advance, given.steps if alone else max(1, given.steps // 4))
                taken[name].append(seconds / (1 if alone else members))
            taken["floor"].append(operations / product_rate(of_products, given.device))
        median = {name: statistics.median(values) for name, values in taken.items()}
        cells = [f"{1e3 * median[name]:.3g}" if name in median else "-" for name in COLUMNS]
        for one, other in ratios.values():
            cells.append(f"{median[one] / median[other]:.2f}" if one in median and other in median else "-")
        print(f"| {members} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
