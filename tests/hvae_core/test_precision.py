"""Rounding of products: what is asked for holds inside, in evaluation too, and nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from hvae_core.checks import SpecError
from hvae_core.data import Dataset
from hvae_core.evaluation.evaluate import evaluate
from hvae_core.families.registry import parse_model
from hvae_core.networks.normal import Normal
from hvae_core.networks.stacked import StackedLayer
from hvae_core.precision import check_precision, products
from hvae_core.spec import Member, ObjectiveSpec, Precision, TrainSpec
from hvae_core.training.trainer import PackTrainer

BACKENDS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = [backend.fp32_precision for backend in BACKENDS]
    yield
    for backend, setting in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = setting


def settings() -> list[str]:
    return [backend.fp32_precision for backend in BACKENDS]


@pytest.mark.parametrize("theirs", ["tf32", "ieee", "none"])
def test_settings_of_the_process_are_left_as_they_were(theirs: str) -> None:
    """The older process-wide setting raises where torch's newer one of a backend has been used."""
    for backend in BACKENDS:
        backend.fp32_precision = theirs
    for precision, expected in (("float32", "ieee"), ("float64", "ieee"), ("tf32", "tf32")):
        with products(precision):  # type: ignore[arg-type]
            assert settings() == [expected] * 2
        with pytest.raises(KeyError), products(precision):  # type: ignore[arg-type]
            raise KeyError
        assert settings() == [theirs] * 2


def test_training_and_evaluation_do_not_round_convolutions_unasked(bars: Dataset) -> None:
    """By default torch lets cuDNN do so: a model called float32 would not be."""
    trainer = PackTrainer(parse_model("conv2x2x2x2f3"), [Member()], TrainSpec(batch_size=4), bars, torch.device("cpu"))
    seen: list[list[str]] = []
    trainer.model.posteriors[0].register_forward_hook(lambda *_: seen.append(settings()))
    for backend in BACKENDS:
        backend.fp32_precision = "tf32"
    trainer.advance()
    evaluate(trainer.model, torch.from_numpy(bars.valid), [0], "valid")
    assert len(seen) > 2
    assert all(each == ["ieee", "ieee"] for each in seen)
    assert settings() == ["tf32", "tf32"]


MODELS = ("mlp2x4h5", "linear0.6-0.4", "conv2x2x2x2f3", "resnet2x2x2x2b1f4")
OTHERS: tuple[dict[str, Any], ...] = (
    *({"system": name} for name in ("lvae", "lvae+skip", "biva")),
    {"system": "vampprior", "pseudo_inputs": 4},
)


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that has bfloat16: where it has not, torch does the same more slowly."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True})


def rounded(data: Dataset, model: str = "mlp2x4h5", precision: Precision = "bf16", **objective: Any) -> PackTrainer:
    members = [Member(ObjectiveSpec(rho, 3, **objective), seed) for seed, rho in ((1, 0.8), (2, 1.0))]
    train = TrainSpec(batch_size=16, precision=precision)
    return PackTrainer(parse_model(model), members, train, data, torch.device("cpu"))


@pytest.mark.usefixtures("hardware")
@pytest.mark.parametrize(
    ("model", "objective"),
    [*((model, {}) for model in MODELS), *(("mlp2x4h5", objective) for objective in OTHERS)],
)
def test_bf16_rounds_the_products_of_training_alone(
    bars: Dataset, monkeypatch: pytest.MonkeyPatch, model: str, objective: dict[str, Any]
) -> None:
    """Layers give bfloat16 there, float32 in evaluation; weights, their gradients, terms and metrics are float32."""
    pack = rounded(bars, model, **objective)
    seen: list[torch.dtype] = []
    for layer in pack.model.modules():
        if isinstance(layer, StackedLayer) and layer.weight.numel() and next(layer.children(), None) is None:
            layer.register_forward_hook(lambda layer, given, out: seen.append(out.dtype))
    read: list[torch.dtype] = []
    likelihood = pack.model.likelihood.likelihood
    exact = likelihood.log_prob

    def log_prob(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        read.append(out.dtype)
        return exact(x, out)

    monkeypatch.setattr(type(likelihood), "log_prob", lambda self, x, out: log_prob(x, out))
    for _ in range(2):
        loss = pack.advance()
    assert set(seen) == {torch.bfloat16}
    assert set(read) == {torch.float32}, "p(x|z) is made of unrounded outputs"
    assert loss.dtype == torch.float32
    assert loss.isfinite().all()
    tensors = [*pack.model.state_dict().values(), *(w.grad for w in pack.model.parameters() if w.grad is not None)]
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float32}
    seen.clear()
    pack.measure(torch.from_numpy(bars.valid))
    assert set(seen) == {torch.float32}


@pytest.mark.usefixtures("hardware")
@pytest.mark.parametrize("model", MODELS)
def test_a_bf16_step_is_the_float32_step_within_its_rounding(bars: Dataset, model: str) -> None:
    """The same noise and images: losses agree to a percent, and gradients point the same way."""
    both = [rounded(bars, model, precision) for precision in ("bf16", "float32")]
    one, other = (pack.advance() for pack in both)
    assert one == pytest.approx(other, rel=0.01)
    assert not torch.equal(one, other) or model.startswith("linear")
    flat = [torch.cat([w.grad.flatten() for w in pack.model.parameters() if w.grad is not None]) for pack in both]
    assert float(torch.cosine_similarity(flat[0], flat[1], 0)) > 0.99


@pytest.mark.usefixtures("hardware")
def test_a_normal_keeps_what_bfloat16_would_round_away(bars: Dataset) -> None:
    """The floor of sigma, 1e-4, is a third of what bfloat16 resolves near 0.1: sigma is made in float32."""
    pack = rounded(bars)
    found: list[Normal] = []
    for network in pack.model.posteriors:
        network.register_forward_hook(lambda network, given, normal: found.append(normal))
    pack.advance()
    for normal in found:
        assert (normal.mean.dtype, normal.std.dtype) == (torch.float32, torch.float32)
        assert not torch.equal(normal.std, normal.std.bfloat16().float())


def test_a_normal_is_never_of_bfloat16() -> None:
    """Whatever a user's own networks make it of; float64 stays what it is."""
    for given, kept in (
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        normal = Normal(torch.zeros(1, 2, 3, dtype=given), torch.ones(1, 2, 3, dtype=given))
        assert (normal.mean.dtype, normal.std.dtype) == (kept, kept)
        assert normal.log_prob(normal.sample(torch.zeros(1, 2, 3))).dtype == kept


@pytest.mark.usefixtures("hardware")
def test_an_interrupted_bf16_run_goes_on_bit_for_bit(bars: Dataset) -> None:
    whole, part, rest = rounded(bars), rounded(bars), rounded(bars)
    for _ in range(6):
        whole.advance()
    for _ in range(3):
        part.advance()
    rest.restore(part.state())
    for _ in range(3):
        rest.advance()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(rest.model.state_dict()[name], value), name


def test_autocast_around_us_rounds_nothing_in_evaluation(bars: Dataset) -> None:
    """As a notebook may have it."""
    pack = rounded(bars, precision="float32")
    exact = evaluate(pack.model, torch.from_numpy(bars.valid), pack.seeds, "valid")
    with torch.autocast("cpu", torch.bfloat16):
        inside = evaluate(pack.model, torch.from_numpy(bars.valid), pack.seeds, "valid")
    assert inside.row(0) == exact.row(0)


@pytest.mark.parametrize("found", [{}, {"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}])
def test_bf16_is_refused_where_the_hardware_has_none(
    bars: Dataset, monkeypatch: pytest.MonkeyPatch, found: dict[str, bool]
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: found)
    with pytest.raises(SpecError, match=r"^precision: 'bf16' is not allowed here; it needs a GPU .* or a CPU with AVX"):
        rounded(bars)
    for name in ("avx512_bf16", "amx_bf16", "bf16"):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda name=name: {**found, name: True})
        check_precision("bf16", "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_captured_bf16_step_is_the_eager_one(bars: Dataset) -> None:
    packs = [
        PackTrainer(
            parse_model("mlp2x4h5"),
            [Member(ObjectiveSpec(0.8, 3), 1)],
            TrainSpec(batch_size=16, precision="bf16"),
            bars,
            torch.device("cuda"),
            captured,
        )
        for captured in (True, False)
    ]
    seen: list[torch.dtype] = []
    for layer in packs[0].model.modules():
        if isinstance(layer, StackedLayer):
            layer.register_forward_hook(lambda layer, given, out: seen.append(out.dtype))
    for _ in range(20):
        losses = [pack.advance().clone() for pack in packs]
        torch.testing.assert_close(losses[0], losses[1], rtol=2e-2, atol=2e-2)
    assert set(seen) == {torch.bfloat16}, "while it is recorded, too"
