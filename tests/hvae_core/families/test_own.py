"""Families of a user's own: found, recorded, checked before training, and refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from hvae_core.checks import SpecError
from hvae_core.families import own
from hvae_core.families.network_check import check_networks
from hvae_core.families.registry import parse_model, recorded_model
from hvae_core.image import ImageSpec
from hvae_core.systems.build import build

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "leaky.py"
IMAGE = ImageSpec((1, 4, 5))
REFERENCE = "leaky_copy:Leaky"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the documented example, importable as `leaky_copy`."""
    file = tmp_path / "leaky_copy.py"
    file.write_text(EXAMPLE.read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "leaky_copy", raising=False)
    own._load.cache_clear()
    return file


def change(module: Path, old: str, new: str) -> None:
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))


def test_the_documented_example_is_a_family_of_forty_lines(module: Path) -> None:
    family = parse_model(REFERENCE)
    assert (family.name, family.depth, family.units, family.family) == (REFERENCE, 2, (8, 8), "own")
    assert family.code is not None
    assert family.code.startswith("sha256:")
    check_networks(family, IMAGE, 1)
    model = build(family, IMAGE, [0, 3], torch.float64)
    assert sum(p.numel() for p in model.parameters()) == 2 * family.parameters(IMAGE, 1)
    assert family.row_floats(IMAGE, 1).decoder > 64
    noise = [torch.randn(1, 7, 8, dtype=torch.float64)] * 2
    assert model.generate(noise).shape == (2, 7, 1, 4, 5)
    lines = [line for line in EXAMPLE.read_text().splitlines() if line.strip()]
    assert len(lines) <= 40


def test_reading_a_record_imports_nothing_and_gives_the_same_value(module: Path) -> None:
    family = parse_model(REFERENCE)
    del sys.modules["leaky_copy"]
    module.unlink()
    again = recorded_model(REFERENCE, family.code, "8-8")
    assert again == family
    assert "leaky_copy" not in sys.modules


def test_other_code_than_the_recorded_is_refused(module: Path) -> None:
    family = parse_model(REFERENCE)
    change(module, "64", "65")
    own._load.cache_clear()
    del sys.modules["leaky_copy"]
    with pytest.raises(SpecError, match=r"^model: 'leaky_copy:Leaky' is sha256:\w+ here and was sha256:\w+ when"):
        family.networks(1, IMAGE, 1)
    assert parse_model(REFERENCE) != family, "a changed file makes new cells"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no_such_module:Net", r"cannot be imported \(ModuleNotFoundError"),
        ("leaky_copy:Nothing", r"cannot be imported \(AttributeError"),
        ("leaky_copy:Net", "is no factory"),
        ("os:abort", "is no factory"),
        ("leaky", "is not a model"),
        ("leaky_copy:", "is not a model"),
    ],
)
def test_what_cannot_be_had_is_one_line(module: Path, text: str, line: str) -> None:
    with pytest.raises(SpecError, match=line) as error:
        parse_model(text)
    assert "\n" not in str(error.value)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "maps = (outputs, *image.shape[1:])",
            "maps = (outputs, *image.shape[:0:-1])",
            "decoder returns .* must be",
        ),
        ("Net(members, 8, 2 * 8)]\n", "Net(members, 8, 2 * 7)]\n", "posterior of layer 2 returns"),
        ("[Net(members, 8, 2 * 8)]", "[]", "2 posteriors and 0 priors for 2 layers"),
        ("return Normal(mean, F.softplus(s) + 1e-4)", "return mean", "returns Tensor; it must be a Normal"),
        ("F.softplus(s) + 1e-4", "s", "std that is not positive"),
        ("self.first(x.flatten(2))", "self.first(x.flatten(2)).mean(0, keepdim=True)", "members mix|it must be"),
        ("out: Tensor = self.out(", "out: Tensor = self.out.bias.mean(0) + self.out(", "members mix in the posterior"),
        ("self.image = image", "self.image, self.free = image, nn.Parameter(torch.zeros(3))", "in no StackedLayer"),
        ("x.flatten(2)", "x.flatten(3)", "does not run"),
    ],
)
def test_networks_that_are_no_good_are_one_line(module: Path, old: str, new: str, line: str) -> None:
    change(module, old, new)
    change(module, "import torch.nn.functional as F", "import torch\nimport torch.nn.functional as F")
    family = parse_model(REFERENCE)
    with pytest.raises(SpecError, match=line) as error:
        check_networks(family, IMAGE, 1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("latents", ["", "0", "8-x", "8x8x8x8", None])
def test_a_record_that_is_not_valid_is_refused(latents: str | None) -> None:
    with pytest.raises(SpecError, match="is not a model of this version"):
        recorded_model("leaky:Leaky", "sha256:0", latents)


def test_an_entry_point_is_known_by_its_distribution(module: Path, tmp_path: Path) -> None:
    info = tmp_path / "leaky_models-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-models\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[hvae_sweep.models]\nleaky8 = leaky_copy:Leaky\n")
    family = parse_model("leaky8")
    assert (family.name, family.code) == ("leaky8", "leaky-models 1.2")
    assert recorded_model("leaky8", family.code, "8-8") == family
