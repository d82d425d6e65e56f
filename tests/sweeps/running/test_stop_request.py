from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.running.stop_request import DRIVER_SIGNALS, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_handlers_come_back(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest(tmp_path / "runs" / "stop", DRIVER_SIGNALS) as stop:
        assert stop.signal is None
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop.signal == number
        assert stop()
        assert StopRequest(stop.file)(), "another process sees the file"
        assert pickle.loads(pickle.dumps(stop)).signal == number
    assert signal.getsignal(number) is before


def test_the_second_ends_the_process_at_once_with_a_word(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from sweeps.running.stop_request import DRIVER_SIGNALS, StopRequest
        with StopRequest(Path(sys.argv[1]) / "stop", DRIVER_SIGNALS, hurried=True):
            os.kill(os.getpid(), signal.SIGINT)
            print("still here", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            print("not here")
    """
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stdout == "still here\n"
    assert ended.stderr.startswith("stopped at once")
