from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hvae_core", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_pack_without_ray(tmp_path: Path, write_images: Callable[..., Path]) -> None:
    images = str(write_images(tmp_path / "bars.npz"))
    small = ["--model", "mlp2x3h6", "--dataset", images, "--steps", "20", "--batch-size", "8", "--ll-examples", "5"]
    done = run(*small, "--rho", "0.5", "1", "--seeds", "0", "3", "--eval-every", "10", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [(m["seed"], m["rho"]) for m in facts["members"]] == [(0, 0.5), (0, 1.0), (3, 0.5), (3, 1.0)]
    for member, history in zip(facts["members"], facts["history"], strict=True):
        assert abs(member["elbo"] - (member["recon"] - member["kl_total"])) < 1e-9
        assert [row["step"] for row in history] == [10, 20]
    assert facts["data"]["reference"] == images
    lost = run(*small, "--device", "cpu", "--out", str(tmp_path / "no" / "pack.json"))
    assert lost.returncode == 2
    assert lost.stderr.count("\n") == 1


def test_embedded_data_need_torch_and_numpy_alone() -> None:
    """As on a machine that has torch and a GPU, and no network to install anything from."""
    absent = ("click", "matplotlib", "pandas", "PIL", "platformdirs", "pooch", "pyarrow", "ray", "rich", "safetensors")
    code = (
        f"import sys; sys.modules |= dict.fromkeys({(*absent, 'scipy', 'seaborn')}, None)\n"
        "import runpy; sys.argv[0] = 'hvae_core'; runpy.run_module('hvae_core', run_name='__main__')"
    )
    small = ["--model", "mlp1x1h1", "--dataset", "glyphs", "--steps", "1", "--ll-examples", "1", "--device", "cpu"]
    command = [sys.executable, "-c", code, *small]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["reference"] == "glyphs:embedded"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--model", "mlp"), "model: 'mlp'"),
        (("--device", "tpu9"), "device: 'tpu9'"),
        (("--precision", "tf32"), "precision: 'tf32'"),
        (("--checkpoints", __file__), "checkpoints: "),
        (("--steps", "0"), "steps: 0"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(given: tuple[str, ...], named: str) -> None:
    wrong = run("--dataset", "glyphs", "--device", "cpu", *given)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"error: {named}")
    assert wrong.stderr.count("\n") == 1
