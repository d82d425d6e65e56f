from __future__ import annotations

import gc
import itertools
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.families.base import Family
from hvae_core.families.registry import parse_model
from hvae_core.spec import Member, ObjectiveSpec, TrainSpec
from hvae_core.training.checkpoint import save_checkpoint
from hvae_core.training.follower import Follower
from hvae_core.training.minibatches import Minibatches
from hvae_core.training.trainer import Interrupted, PackTrainer, train_pack

SPEC = parse_model("mlp3x3h6")
MEMBERS = [Member(ObjectiveSpec(rho=rho, ou_samples=2), seed) for seed in (0, 1) for rho in (0.3, 0.9, 1.0)]
RUN = TrainSpec(steps=20, batch_size=8, lr=5e-3, precision="float64")


def weights(data: Dataset, members: list[Member], run: TrainSpec = RUN, spec: Family = SPEC) -> dict[str, torch.Tensor]:
    return train_pack(spec, members, run, data).model.state_dict()


@pytest.mark.parametrize("kind", ["mean_std", "ratio", "iwae", "free-bits"])
def test_a_member_of_a_pack_equals_the_member_alone(bars: Dataset, kind: str) -> None:
    """Weights after 20 steps, float64, to 1e-10: alone, in a pack of six, in another order."""
    changes: dict[str, dict[str, Any]]
    changes = {"mean_std": {}, "ratio": {"smoothing": "ratio"}, "iwae": {"iwae_k": 3}, "free-bits": {"free_bits": 0.5}}
    members = [replace(m, objective=replace(m.objective, **changes[kind])) for m in MEMBERS]
    pack, backwards = weights(bars, members), weights(bars, members[::-1])
    for i, member in enumerate(members):
        alone = weights(bars, [member])
        for name, value in alone.items():
            torch.testing.assert_close(pack[name][i], value[0], rtol=0, atol=1e-10)
            torch.testing.assert_close(backwards[name][-1 - i], value[0], rtol=0, atol=1e-10)


def test_the_same_pack_gives_the_same_bits(bars: Dataset) -> None:
    run = replace(RUN, precision="float32")
    first = weights(bars, MEMBERS, run)
    torch.manual_seed(99)
    second = weights(bars, MEMBERS, run)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_members_of_one_seed_differ_by_rho_alone(bars: Dataset) -> None:
    """Equal rho and seed: equal weights. Other rho or other seed: other weights."""
    trained = weights(bars, [MEMBERS[0], MEMBERS[0], MEMBERS[1], MEMBERS[3]])
    name = "priors.0.network.first.weight"
    torch.testing.assert_close(trained[name][0], trained[name][1], rtol=0, atol=1e-12)
    for other in (2, 3):
        assert (trained[name][0] - trained[name][other]).abs().max() > 1e-4


def test_training_raises_the_elbo(bars: Dataset) -> None:
    pack = train_pack(SPEC, MEMBERS, replace(RUN, steps=300), bars, eval_every=100)
    for rows in pack.history:
        assert [row["step"] for row in rows] == [100, 200, 300]
        assert rows[-1]["elbo"] > rows[0]["elbo"] + 0.1


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("stop_at", [1, 7, 13])
def test_interrupted_training_is_bit_for_bit_undisturbed_training(
    bars: Dataset, tmp_path: Path, precision: str, stop_at: int
) -> None:
    """Stopped at a step, taken up by a new process's trainer: weights, history and optimiser agree in every bit."""
    run = replace(RUN, precision=precision)  # type: ignore[arg-type]
    whole = train_pack(SPEC, MEMBERS, run, bars, eval_every=5)

    def interrupted() -> None:
        trainer = PackTrainer(SPEC, MEMBERS, run, bars, torch.device("cpu"))
        while trainer.step < stop_at:
            trainer.advance()
            if trainer.step % 5 == 0:
                trainer.measure(torch.from_numpy(bars.valid))
        save_checkpoint(tmp_path, trainer.step, trainer.state())

    interrupted()
    resumed = train_pack(SPEC, MEMBERS, run, bars, eval_every=5, checkpoints=tmp_path)
    assert resumed.history == whole.history
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())


def test_cadence_changes_no_number(bars: Dataset, tmp_path: Path) -> None:
    rare = train_pack(SPEC, MEMBERS, RUN, bars)
    often = train_pack(SPEC, MEMBERS, RUN, bars, eval_every=1, checkpoints=tmp_path, checkpoint_seconds=0)
    assert [rows[-1] for rows in often.history] == [rows[-1] for rows in rare.history]


def test_a_stop_writes_a_checkpoint_first(bars: Dataset, tmp_path: Path) -> None:
    class Second(Follower):
        asked = 0

        def should_stop(self) -> bool:
            self.asked += 1
            return self.asked == 2

    with pytest.raises(Interrupted, match="step 10 of 20"):
        train_pack(SPEC, MEMBERS, RUN, bars, eval_every=5, checkpoints=tmp_path, follower=Second())
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-10"]
    finished = train_pack(SPEC, MEMBERS, RUN, bars, eval_every=5, checkpoints=tmp_path)
    assert [row["step"] for row in finished.history[0]] == [5, 10, 15, 20]


def test_a_diverging_member_is_noted_and_touches_nobody(bars: Dataset) -> None:
    trainer = PackTrainer(SPEC, MEMBERS, RUN, bars, torch.device("cpu"))
    calm = PackTrainer(SPEC, MEMBERS, RUN, bars, torch.device("cpu"))
    for step in range(12):
        if step == 4:
            with torch.no_grad():
                trainer.model.get_parameter("posteriors.0.network.first.weight")[2] = float("nan")
        trainer.advance()
        calm.advance()
    assert trainer.diverged.tolist() == [0, 0, 5, 0, 0, 0]
    expected = calm.model.state_dict()
    others = [0, 1, 3, 4, 5]
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value[others], expected[name][others]), name


def test_static_minibatches_are_training_images_and_uniform(bars: Dataset) -> None:
    batches = Minibatches(bars, [0, 1], torch.float64, torch.device("cpu"))
    shown = {row.tobytes() for row in bars.train.astype(np.float64)}
    drawn = batches.draw(4000)
    assert drawn.shape == (2, 4000, 1, 4, 4)
    assert {row.tobytes() for row in drawn.reshape(-1, 16).numpy()} == shown
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(drawn[0].mean(0), torch.from_numpy(bars.pixel_mean), atol=0.04, rtol=0)


def test_dynamic_minibatches_draw_each_showing_afresh(bars: Dataset) -> None:
    grey = np.tile(np.array([0, 51, 204, 255], np.uint8), (1, 4)).reshape(1, 1, 4, 4)
    data = replace(bars, train=grey, binarise="dynamic")
    batches = Minibatches(data, [0], torch.float64, torch.device("cpu"))
    first, second = batches.draw(20_000)[0], batches.draw(20_000)[0]
    assert set(first.unique().tolist()) == {0.0, 1.0}
    expected = torch.tensor([[[0, 0.2, 0.8, 1]] * 4], dtype=torch.float64)
    for drawn in (first, second):
        torch.testing.assert_close(drawn.mean(0), expected, atol=0.015, rtol=0)
    assert not torch.equal(first, second)
    assert first[..., 0].max() == 0
    assert first[..., 3].min() == 1


def test_checkpoints_take_their_share_of_the_time_and_no_more(
    bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk so slow that each takes 10 s of a clock that runs 2 s a step, they come 500 s apart, not 30."""
    now = [0.0]
    at: list[float] = []

    def slow(directory: Path, step: int, state: object) -> None:
        at.append(now[0])
        now[0] += 10

    advance = PackTrainer.advance

    def timed(trainer: PackTrainer) -> torch.Tensor:
        now[0] += 2
        return advance(trainer)

    monkeypatch.setattr("hvae_core.training.trainer.save_checkpoint", slow)
    monkeypatch.setattr(PackTrainer, "advance", timed)
    monkeypatch.setattr("hvae_core.training.trainer.time.monotonic", lambda: now[0])
    run = TrainSpec(steps=600, batch_size=4)
    train_pack(parse_model("mlp1x2h3"), [Member()], run, bars, checkpoints=tmp_path, checkpoint_seconds=30)
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert at[0] == pytest.approx(32, abs=4)
    assert min(gaps[:-1]) >= 500
    assert 10 * len(at) < 0.03 * now[0] + 20


def test_nothing_of_training_but_the_model_stays(bars: Dataset) -> None:
    """Moments, data and, on a GPU, the recording go with the trainer; no cycle waits for the collector."""
    trainers: list[weakref.ref[PackTrainer]] = []

    class Watcher(Follower):
        def evaluated(self, trainer: PackTrainer) -> None:
            trainers.append(weakref.ref(trainer))

    gc.collect()
    gc.disable()
    try:
        trained = train_pack(SPEC, MEMBERS, RUN, bars, follower=Watcher())
        assert trainers
        assert all(trainer() is None for trainer in trainers)
    finally:
        gc.enable()
    assert all(parameter.grad is None for parameter in trained.model.parameters())


def test_a_checkpoint_of_another_kind_of_device_is_refused_and_kept(bars: Dataset, tmp_path: Path) -> None:
    """A GPU's generators have states of 16 bytes and draw other numbers: the pack is to go on where it was begun."""
    begun = PackTrainer(SPEC, MEMBERS, RUN, bars, torch.device("cpu"))
    begun.advance()
    streams = [[state[:16] for state in each] for each in begun.state()["streams"]]
    save_checkpoint(tmp_path, 1, {**begun.state(), "device": "cuda", "streams": streams})
    noted: list[str] = []

    class Listener(Follower):
        def note(self, line: str) -> None:
            noted.append(line)

    with pytest.raises(SpecError, match="device: 'cpu' is not allowed here; .* holds checkpoints of 'cuda'"):
        train_pack(SPEC, MEMBERS, RUN, bars, checkpoints=tmp_path, follower=Listener())
    assert not noted
    assert (tmp_path / "checkpoint-1").is_dir()


def test_members_without_smoothing_take_no_copies(bars: Dataset) -> None:
    """Where every rho is 1 a prior sees each sample once, not K times the same."""
    rows = []
    members = [Member(ObjectiveSpec(1.0, 7), seed) for seed in (0, 1)]
    trainer = PackTrainer(SPEC, members, RUN, bars, torch.device("cpu"))
    trainer.model.priors[0].register_forward_hook(lambda prior, given, p: rows.append(given[0].shape[1]))
    trainer.advance()
    assert rows == [RUN.batch_size]
