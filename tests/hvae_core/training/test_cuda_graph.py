"""A step that a CUDA graph can record, checked where there is no GPU; with one, replays against eager steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.trainer import PackTrainer, train_pack

SPEC = parse_model("mlp3x3h5")
KINDS: dict[str, dict[str, Any]] = {
    "smoothed": {"rho": 0.8, "ou_samples": 3},
    "ratio": {"rho": 0.8, "ou_samples": 3, "smoothing": "ratio"},
    "annealed with free bits": {"kl_anneal": (2, 5), "free_bits": 0.3},
    "importance weighted": {"iwae_k": 4},
    "ladder": {"rho": 0.8, "ou_samples": 3, "system": "lvae+skip"},
    "bidirectional": {"rho": 0.8, "ou_samples": 3, "system": "biva"},
    "mixture of posteriors": {"rho": 0.8, "ou_samples": 3, "system": "vampprior", "pseudo_inputs": 4},
    "levels": {"rho": 0.8, "ou_samples": 3},
}
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")
HOST = ("lift_fresh", "scalar_tensor")  # a tensor made of Python's numbers is copied from the host
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def trainer(bars: Dataset, kind: str, device: str = "cpu", captured: bool = True) -> PackTrainer:
    objective = KINDS[kind]
    members = [Member(ObjectiveSpec(**objective), seed) for seed in (1, 2)]
    members.append(Member(ObjectiveSpec(**{**objective, "rho": 0.9}), 1))
    train = TrainSpec(batch_size=6, mixture=3 if kind == "levels" else 1)
    spec = parse_model("mlp2x4h5") if kind == "mixture of posteriors" else SPEC
    data = levels_of(bars) if kind == "levels" else bars
    return PackTrainer(spec, members, train, data, torch.device(device), captured)


def levels_of(bars: Dataset) -> Dataset:
    """The same images in 256 levels."""
    images = {key: 250 * getattr(bars, key) for key in ("train", "valid", "test")}
    shape = bars.image.shape
    return Dataset.of(name="bars", source="npz", reference="", shape=shape, images=images, binarise="none")


class Spy(TorchDispatchMode):
    """Notes operations that would wait for a device, or copy to it from the host, outside of the optimiser."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name, device = func.overloadpacket.__name__, (kwargs or {}).get("device")
        moved = name == "_to_copy" and device not in (None, args[0].device)
        counted = name in ("index", "index_put_") and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in (*WAITS, *HOST) or moved or counted:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_never_waits_for_the_device(bars: Dataset, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = trainer(bars, kind)
    pack.advance()
    monkeypatch.setattr(pack.optimiser, "step", lambda: None)  # on a CPU it reads its own step counts
    with Spy() as spy:
        pack.advance()
    assert not spy.found


def test_the_spy_sees_what_it_should() -> None:
    x = torch.arange(3.0)
    work: dict[str, Callable[[], object]] = {
        "_local_scalar_dense": lambda: x.sum().item(),
        "nonzero": lambda: x.nonzero(),
        "index": lambda: x[x > 0],
        "lift_fresh": lambda: x + torch.tensor(1.0),
        "_to_copy": lambda: x.to("meta"),
    }
    for name, do in work.items():
        with Spy() as spy:
            do()
        assert name in spy.found


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_makes_every_tensor_on_its_own_device(bars: Dataset, kind: str) -> None:
    """Where another device is the default, whatever is made without a word about its device lies on the wrong one."""
    usual, elsewhere = trainer(bars, kind), trainer(bars, kind)
    expected = usual.advance()
    with torch.device("meta"):
        assert torch.equal(elsewhere.advance(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_reads_nothing_that_python_changes(bars: Dataset, kind: str) -> None:
    """What is recorded once must do the second step's work the second time: annealing, noise, step counts."""
    frozen, usual = trainer(bars, kind), trainer(bars, kind)
    for _ in range(8):
        usual.advance()
        frozen._step()
        frozen.step = 0
    assert int(frozen.clock) == 8
    for name, value in usual.model.state_dict().items():
        assert torch.equal(value, frozen.model.state_dict()[name]), name


def test_tf32_is_refused_without_a_gpu(bars: Dataset) -> None:
    with pytest.raises(SpecError, match="precision: 'tf32' is not allowed here; it needs a GPU"):
        train_pack(SPEC, [Member()], TrainSpec(1, 2, precision="tf32"), bars)


@pytest.mark.cuda
@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_replays_are_eager_steps(bars: Dataset, kind: str) -> None:
    replayed, eager = (trainer(bars, kind, "cuda", captured) for captured in (True, False))
    for _ in range(20):
        a, b = replayed.advance().clone(), eager.advance()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    for name, value in eager.model.state_dict().items():
        torch.testing.assert_close(replayed.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
@needs_gpu
def test_an_interrupted_replay_goes_on_where_it_was(bars: Dataset, tmp_path: Path) -> None:
    whole, part = trainer(bars, "smoothed", "cuda"), trainer(bars, "smoothed", "cuda")
    for _ in range(20):
        whole.advance()
    for _ in range(10):
        part.advance()
    rest = trainer(bars, "smoothed", "cuda")
    rest.restore(part.state())
    for _ in range(10):
        rest.advance()
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(rest.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)
