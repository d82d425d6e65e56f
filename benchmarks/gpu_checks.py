"""What a GPU must get right before its numbers count: captured steps, tf32 and bf16, resuming, and the memory estimate.

    python -m benchmarks.gpu_checks --device cuda

Each check prints one row: what was compared, and the largest difference found, relative to the largest value.
"""

from __future__ import annotations

import argparse
import gc

import torch
from torch import Tensor

from hvae_core.data import Dataset, load_dataset
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, Precision, TrainSpec
from hvae_core.training.memory import member_bytes
from hvae_core.training.trainer import PackTrainer

RHOS = (0.5, 0.8, 0.9, 1.0)


def trainer(
    data: Dataset, model: str, device: str, members: int, precision: Precision = "float32", captured: bool = True
) -> PackTrainer:
    """Return a pack of `members` models over rho, of one seed for every four."""
    pack = [Member(ObjectiveSpec(RHOS[i % 4]), seed=i // 4) for i in range(members)]
    spec, train = parse_model(model), TrainSpec(precision=precision)
    return PackTrainer(spec, pack, train, data, torch.device(device), captured)


def trained(pack: PackTrainer, steps: int) -> PackTrainer:
    """Take so many steps."""
    for _ in range(steps):
        pack.advance()
    return pack


def difference(a: PackTrainer, b: PackTrainer) -> float:
    """Largest difference of any weight of two packs, relative to the largest weight of its tensor."""
    pairs: list[tuple[Tensor, Tensor]] = [(v, b.model.state_dict()[k]) for k, v in a.model.state_dict().items()]
    return max(float((x.double() - y.double()).abs().max() / x.double().abs().max()) for x, y in pairs)


def compare(data: Dataset, model: str, device: str, steps: int) -> None:
    """Print how far apart two trainings of the same pack end."""
    print(f"{model}, 8 members, {steps} steps: largest difference of a weight, relative to the largest of its tensor")
    print("| compared | difference |")
    print("|---|---|")
    first = trained(trainer(data, model, device, 8), steps)
    print(f"| the same run again | {difference(first, trained(trainer(data, model, device, 8), steps)):.1e} |")
    eager = trained(trainer(data, model, device, 8, captured=False), steps)
    print(f"| captured step, eager step (float32) | {difference(first, eager):.1e} |")
    exact = [trained(trainer(data, model, device, 8, "float64", captured), steps) for captured in (True, False)]
    print(f"| captured step, eager step (float64) | {difference(*exact):.1e} |")
    rounded: tuple[Precision, ...] = ("tf32", "bf16") if device != "cpu" else ()
    for precision in rounded:
        other = trained(trainer(data, model, device, 8, precision), steps)
        print(f"| {precision}, float32 | {difference(other, first):.1e} |")
        packs = (trainer(data, model, device, 8, precision), trainer(data, model, device, 8))
        losses = [pack.advance() for pack in packs]
        apart = float((losses[0] / losses[1] - 1).abs().max())
        print(f"| {precision}, float32: the loss of the first step | {apart:.1e} |")
    half = trained(trainer(data, model, device, 8), steps // 2)
    rest = trainer(data, model, device, 8)
    rest.restore(half.state())
    print(f"| resumed half-way, undisturbed | {difference(trained(rest, steps - steps // 2), first):.1e} |", flush=True)


def memory(data: Dataset, model: str, device: str) -> None:
    """Print the peak memory that one more member takes in training and evaluation, beside the estimate."""
    images = torch.from_numpy(data.valid).to(device)
    peaks = []
    for members in (8, 24):
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        pack = trained(trainer(data, model, device, members), 6)
        pack.measure(images)
        peaks.append(torch.cuda.max_memory_allocated())
        del pack
    spec, megabyte = parse_model(model), 2**20
    each = (peaks[1] - peaks[0]) / 16 / megabyte
    said = member_bytes(spec, ObjectiveSpec(0.9), TrainSpec(), data.image, captured=True) / megabyte
    print(f"| {model} | {each:.1f} | {said:.1f} | {said / each:.2f} |", flush=True)


def main() -> None:
    """Run the checks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default="mlp4x40")
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("mnist")
    compare(data, given.model, given.device, given.steps)
    if given.device != "cpu":
        print("\nPeak memory of one more member, MB")
        print("| model | measured | estimated | estimated / measured |")
        print("|---|---|---|---|")
        for model in ("mlp4x40", "mlp4x16h64", "mlp3x200"):
            memory(data, model, given.device)


if __name__ == "__main__":
    main()
