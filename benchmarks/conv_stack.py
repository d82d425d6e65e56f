"""How to stack M small convolutional networks: one grouped convolution, a loop over members, vmap, or matrix products.

    python -m benchmarks.conv_stack --device cpu

Forward and backward of two 3x3 tanh layers of C filters on C x H x W maps, of M members with a batch of B each, as a
ratio to the arithmetic at the rate of one large product of the same precision. On a GPU each variant is replayed as a
CUDA graph, as the trainer does. One process, one thread, the variants in turn.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.pack_step import product_rate, seconds_per_step

SHAPES = ((1, 32, 14, 50), (11, 32, 14, 50), (11, 64, 14, 50), (11, 16, 7, 64), (11, 32, 7, 320), (4, 100, 16, 16))
LAYERS = 2


def grouped(x: Tensor, weights: list[Tensor]) -> Tensor:
    """(M, B, C, H, W) as channels M C of one convolution with M groups."""
    M, B, C, H, W = x.shape
    out = x.transpose(0, 1).reshape(B, M * C, H, W)
    for weight in weights:
        out = torch.tanh(F.conv2d(out, weight.flatten(0, 1), padding=1, groups=M))
    return out


def grouped_last(x: Tensor, weights: list[Tensor]) -> Tensor:
    """Do the same with channels last in memory."""
    M, B, C, H, W = x.shape
    out = x.transpose(0, 1).reshape(B, M * C, H, W).contiguous(memory_format=torch.channels_last)
    for weight in weights:
        flat = weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        out = torch.tanh(F.conv2d(out, flat, padding=1, groups=M))
    return out


def loop(x: Tensor, weights: list[Tensor]) -> Tensor:
    """One convolution for each member."""
    outs = []
    for member, *own in zip(x.unbind(), *(weight.unbind() for weight in weights), strict=True):
        out = member.contiguous(memory_format=torch.channels_last)
        for weight in own:
            out = torch.tanh(F.conv2d(out, weight, padding=1))
        outs.append(out)
    return torch.stack(outs)


def mapped(x: Tensor, weights: list[Tensor]) -> Tensor:
    """torch.vmap of a convolution over members."""
    out = x
    for weight in weights:
        convolve = torch.vmap(lambda one, own: F.conv2d(one, own, padding=1))
        out = torch.tanh(convolve(out, weight))
    return out


def products(x: Tensor, weights: list[Tensor]) -> Tensor:
    """Patches of 3x3 pixels as rows of one batched matrix product."""
    M, B, _, H, W = x.shape
    out = x
    for weight in weights:
        patches = F.unfold(out.flatten(0, 1), 3, padding=1).unflatten(0, (M, B)).permute(0, 1, 3, 2).flatten(1, 2)
        rows = torch.bmm(patches, weight.flatten(2).transpose(1, 2))
        out = torch.tanh(rows.unflatten(1, (B, H * W)).transpose(2, 3).unflatten(3, (H, W)))
    return out


VARIANTS = {
    "grouped": grouped,
    "grouped, channels last": grouped_last,
    "loop": loop,
    "vmap": mapped,
    "unfold, bmm": products,
}


def step_of(variant: Callable[[Tensor, list[Tensor]], Tensor], x: Tensor, weights: list[Tensor]) -> Callable[[], None]:
    """Return a function that does one forward and backward pass; on a GPU, its recording's replay."""

    def step() -> None:
        for weight in weights:
            weight.grad = None
        variant(x, weights).square().sum().backward()

    if x.device.type == "cpu":
        return step
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tf32", action="store_true", help="let the GPU round products to 10 bits")
    parser.add_argument("--steps", type=int, default=10, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="only the first so many")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high" if given.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = given.tf32
    print(f"torch {torch.__version__}, {given.device}, {'tf32' if given.tf32 else 'float32'}; time / floor")
    print(f"| M, C, H x W, B | floor, ms | {' | '.join(VARIANTS)} |")
    print("|---" * (2 + len(VARIANTS)) + "|")
    for members, channels, side, batch in SHAPES[: given.shapes]:
        x = torch.randn(members, batch, channels, side, side, device=given.device, requires_grad=True)
        bound = (1 / (9 * channels)) ** 0.5
        weights = [
            (bound * torch.randn(members, channels, channels, 3, 3, device=given.device)).requires_grad_()
            for _ in range(LAYERS)
        ]
        operations = 3 * LAYERS * 2 * members * batch * (side * channels) ** 2 * 9  # forward, and both gradients
        steps = {name: step_of(variant, x, weights) for name, variant in VARIANTS.items()}
        rounds = []
        for step in steps.values():
            seconds_per_step(step, 2)
        for _ in range(given.rounds):
            floor = operations / product_rate(torch.float32, given.device)
            rounds.append([floor, *(seconds_per_step(step, given.steps) for step in steps.values())])
        floor, *taken = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = " | ".join(f"{seconds / floor:.1f}" for seconds in taken)
        print(f"| {members}, {channels}, {side}x{side}, {batch} | {1e3 * floor:.3g} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
