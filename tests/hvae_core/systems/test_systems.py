"""What holds of every system over every family that has it."""

from __future__ import annotations

import pytest
import torch

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.evaluation.active_units import active_units
from hvae_core.evaluation.bounds import importance_bound
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.image import ImageSpec
from hvae_core.spec import SYSTEMS, Member, ObjectiveSpec, TrainSpec
from hvae_core.systems.base import System
from hvae_core.systems.build import build
from hvae_core.systems.sizes import parameters
from hvae_core.systems.smoothing import OrnsteinUhlenbeck
from hvae_core.training.trainer import PackTrainer

IMAGE = ImageSpec((1, 4, 4))
FAMILIES = ("mlp1x4h6", "mlp2x4h6", "conv2x2x2x2f3", "resnet2x2x2x2b1f3")
OF_ALL = [(family, str(system)) for system in SYSTEMS for family in FAMILIES]
DEEPER = [("mlp4x4h6", "lvae+skip"), ("mlp4x4h6", "biva")]
CASES = [*OF_ALL, *DEEPER]


def built(model: str, system: str, seeds: tuple[int, ...] = (1, 2), far: float = 0.3) -> System:
    found = build(parse_model(model), IMAGE, seeds, torch.float64, system=system, pseudo_inputs=5)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in found.parameters():  # far from where everything is alike
            parameter.add_(far * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    return found


def images(count: int = 12) -> torch.Tensor:
    draw = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return (draw < 0.4).to(torch.uint8)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_importance_bounds_rise_from_the_elbo(model: str, system: str) -> None:
    found, x = built(model, system, far=0.1), images(100)
    elbo = evaluate(found, x, [1, 2], "test").elbo
    one, some, many = (importance_bound(found, x, k, [1, 2]) for k in (1, 20, 400))
    assert (one.value < some.value).all()
    assert (some.value < many.value + 0.05).all()
    assert (abs(one.value - elbo) < 6 * one.standard_error).all()


@pytest.mark.parametrize(("model", "system"), CASES)
def test_smoothing_with_rho_1_is_none_and_with_0_is_something(model: str, system: str) -> None:
    """Only of the lower layers' KL: reconstruction and the top layer's stay bit for bit."""
    found, x, K = built(model, system), images().double()[None], 3
    size = found.noise_size(12, K)
    flat = torch.randn(2, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = found.split_noise(flat, 12, K)
    plain = found(x, noise)
    one, zero = (found(x, noise, OrnsteinUhlenbeck(torch.full((2,), rho).double())) for rho in (1.0, 0.0))
    torch.testing.assert_close(one.kl, plain.kl, rtol=1e-10, atol=1e-10)
    assert torch.equal(zero.recon, plain.recon)
    assert torch.equal(zero.kl[-1], plain.kl[-1])
    if len(found.latents) > 1:
        assert (zero.kl[:-1] - plain.kl[:-1]).abs().max() > 1e-3


@pytest.mark.parametrize(("model", "system"), CASES)
def test_samples_and_reconstructions_hang_on_every_layer(model: str, system: str) -> None:
    found = built(model, system)
    draws = torch.Generator().manual_seed(2)
    noise = [torch.randn(1, 3, *shape, dtype=torch.float64, generator=draws) for shape in found.latents]
    drawn = found.generate(noise)
    assert drawn.shape == (2, 3, 1, 4, 4)
    for i in range(len(noise)):
        other = [*noise[:i], noise[i] + 0.5, *noise[i + 1 :]]
        assert (found.generate(other) - drawn).abs().max() > 1e-9
    assert found.reconstruct(images(3).double()[None], noise).shape == (2, 3, 1, 4, 4)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_layers_have_shapes_and_activity(model: str, system: str) -> None:
    found = built(model, system)
    units = active_units(found, images(), [1, 2], "test")
    assert units.au.shape == (2, len(found.latents))
    assert ((units.share >= 0) & (units.share <= 1)).all()
    flat = torch.randn(1, found.noise_size(12), dtype=torch.float64)
    qs, zs = found.infer(images().double()[None], found.split_noise(flat, 12).posterior)
    for q, z, shape in zip(qs, zs, found.latents, strict=True):
        assert z.shape == (2, 12, *shape)
        assert q.mean.shape[2:] == shape


@pytest.mark.parametrize(("model", "system"), CASES)
def test_weights_are_counted_without_building(model: str, system: str) -> None:
    objective = ObjectiveSpec(system=system, **({"pseudo_inputs": 5} if system == "vampprior" else {}))  # type: ignore[arg-type]
    found = built(model, system, (1,))
    assert parameters(parse_model(model), IMAGE, objective, 1) == sum(p.numel() for p in found.parameters())


@pytest.mark.parametrize(
    ("model", "system", "line"),
    [
        ("mlp3x4h6", "vampprior", "'vampprior' has one or two layers, not the 3 of 'mlp3x4h6'"),
        ("mlp2x1h6", "biva", "'biva' needs two units or maps in every layer below the top, not those of 'mlp2x1h6'"),
        ("linear0.9", "lvae", "'linear0.9' can be trained as hvae alone, not as 'lvae'"),
        ("resnet2x2x2x2b1f3skip", "lvae", "has skips, which are hvae's"),
    ],
)
def test_what_a_system_cannot_be_is_one_line(model: str, system: str, line: str) -> None:
    with pytest.raises(SpecError, match=line) as error:
        build(parse_model(model), IMAGE, [0], system=system)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("binarise", ["static", "none"])
def test_a_trainer_starts_pseudo_inputs_at_its_images(binarise: str) -> None:
    """As shares of the largest value: bits as they are, levels over 255."""
    highest = 1 if binarise == "static" else 255
    train = images(30) * highest if highest == 1 else images(30) * 200 + 13
    splits = {"train": train.numpy(), "valid": train.numpy()[:3], "test": train.numpy()[:3]}
    data = Dataset.of(name="a", source="b", reference="", shape=(1, 4, 4), images=splits, binarise=binarise)
    member = Member(ObjectiveSpec(system="vampprior", pseudo_inputs=6), 3)
    trainer = PackTrainer(parse_model("mlp2x4h6"), [member], TrainSpec(batch_size=4), data, torch.device("cpu"))
    found = trainer.model.get_parameter("pseudo_inputs")[0].detach()
    there = train.float() / highest
    assert all((there == image).all((1, 2, 3)).any() for image in found)
    assert len({image.numpy().tobytes() for image in found}) > 1


def test_pseudo_inputs_start_at_training_images_of_the_seed() -> None:
    one, other, again = (built("mlp2x4h6", "vampprior", (seed,)) for seed in (1, 2, 1))
    data = images(40)
    for model, seed in ((one, 1), (other, 2), (again, 1)):
        model.start(data, 1, [seed])
    values = [model.get_parameter("pseudo_inputs")[0] for model in (one, other, again)]
    assert torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[1])
    there = {image.numpy().tobytes() for image in data.double()}
    assert all(image.detach().numpy().tobytes() in there for image in values[0])
