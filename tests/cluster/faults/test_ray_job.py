"""A request as a job of a Ray that runs somewhere, with a dashboard."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import cli

if TYPE_CHECKING:
    from tests.cluster.conftest import Until

pytestmark = pytest.mark.timeout(300)

BIN = Path(sys.executable).parent
GRID = ["rho", "--model", "mlp2x3h6", "--datasets", "bars.npz", "--rho", "0.5", "0.9", "1", "--ou-samples", "2"]
REQUEST = [*GRID, "--batch-size", "8", "--ll-examples", "5", "--pack", "1"]


def answers(address: str) -> bool:
    """Whether anything does, if only to ask for the token that `ray job` knows."""
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


@pytest.fixture
def dashboard(tmp_path: Path, until: Until, port: int) -> Iterator[str]:
    """Address of the dashboard of a Ray of our own, in a process table of its own."""
    if importlib.util.find_spec("aiohttp_cors") is None or importlib.util.find_spec("opencensus") is None:
        pytest.skip("needs ray[default], for a dashboard and `ray job`")
    folder = Path(tempfile.mkdtemp(prefix="r-"))  # short: Ray's sockets lie in it
    isolation = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    ports = ["--port", "0", "--dashboard-port", str(port)]
    more = ["--num-cpus", "2", "--object-store-memory", str(80 * 2**20), "--disable-usage-stats", "--block"]
    with (tmp_path / "said").open("wb") as said:
        ray = subprocess.Popen(
            [*isolation, str(BIN / "ray"), "start", "--head", *ports, *more],
            env={**os.environ, "RAY_TMPDIR": str(folder)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: answers(address), 90, (tmp_path / "said").read_text)
        yield address
    finally:
        os.killpg(ray.pid, signal.SIGKILL)
        ray.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_job_of_ray_ends_is_seen_and_is_stopped(
    tmp_path: Path,
    dashboard: str,
    until: Until,
    write_images: Callable[..., Path],
    numbers: Callable[[Path], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sweep(*words: str) -> Result:
        done = CliRunner().invoke(cli.sweep, words, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return done

    def status(out: str) -> str:
        return sweep("status", out).stdout

    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "bars.npz")
    request = [*REQUEST, "--steps", "300"]
    for words in ([*request, "--out", "alone", "--plan-only"], ["work", "alone"]):
        subprocess.run([str(BIN / "hvae-sweep"), *words], check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("RAY_ADDRESS", dashboard)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # what `ray start` asks for
    sweep("submit", "--backend", "ray-job", "--entrypoint-num-cpus", "0", "--", *request)
    until(lambda: ": succeeded\n" in status("results"), 120, lambda: status("results"))
    assert numbers(tmp_path / "results") == numbers(tmp_path / "alone")
    sweep("submit", "--backend", "ray-job", "--", *REQUEST, "--steps", "1000000", "--out", "long")
    until(lambda: list(tmp_path.glob("long/packs/*/progress.json")), 90, lambda: status("long"))
    assert ": running\n" in status("long")
    assert "cancelled: ray-job" in sweep("cancel", "long").stdout
    until(lambda: ": stopped\n" in status("long"), 60, lambda: status("long"))
    assert sweep("cancel", "long").stdout == "nothing to cancel\n"
