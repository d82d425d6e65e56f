from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.running.signals import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_handlers_come_back(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts(tmp_path / "runs" / "stop") as interrupts:
        assert interrupts.signal is None
        os.kill(os.getpid(), number)
        assert interrupts.signal == number
        assert interrupts.stop_file.exists()
        assert pickle.loads(pickle.dumps(interrupts)).signal == number
    assert signal.getsignal(number) is before


def test_the_second_ends_the_process_at_once_with_a_word(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from sweeps.running.signals import Interrupts
        with Interrupts(Path(sys.argv[1]) / "stop"):
            os.kill(os.getpid(), signal.SIGINT)
            print("still here", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            print("not here")
    """
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stdout == "still here\n"
    assert ended.stderr.startswith("stopped at once")
