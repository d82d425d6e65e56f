from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sweeps.ledger import claims
from sweeps.ledger.claims import Claim, HeldError, holder_of


def test_the_second_hears_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "pack" / "claim"
    with Claim(path) as first:
        assert first.mine()
        with pytest.raises(HeldError, match=rf"process {os.getpid()} on .* since 20") as error, Claim(path):
            pass
        assert "\n" not in str(error.value)
        assert holder_of(path) is not None
    assert not path.exists()
    with Claim(path):
        pass


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    code = (
        "import os, pathlib, sys; from sweeps.ledger.claims import Claim; c = Claim(pathlib.Path(sys.argv[1])); "
        "c.__enter__(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert killed.returncode == -9
    assert path.exists()
    assert holder_of(path) is None
    with Claim(path) as claim:
        assert claim.mine()


def foreign(path: Path, age: float) -> None:
    """Leave a claim of another machine, touched `age` seconds ago."""
    path.write_text(json.dumps({"host": "far", "pid": 1, "start": "2026-01-01", "machine": "other", "token": "x"}))
    then = time.time() - age
    os.utime(path, (then, then))


def test_another_hosts_claim_stands_until_it_expires(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    foreign(path, 30)
    with pytest.raises(HeldError, match="process 1 on far since 2026-01-01"), Claim(path):
        pass
    foreign(path, claims.EXPIRY_SECONDS + 5)
    with Claim(path) as claim:
        assert claim.mine()


def test_a_reused_process_id_does_not_keep_a_claim_alive(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    with Claim(path):
        content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "process_start": "1"}))
    assert holder_of(path) is None


def test_a_process_that_no_longer_beats_loses_its_claim(tmp_path: Path) -> None:
    """Alive but stopped, as by SIGSTOP: after the expiry another takes over, and the old owner can see it."""
    path = tmp_path / "claim"
    with Claim(path) as stopped:
        then = time.time() - claims.EXPIRY_SECONDS - 5
        os.utime(path, (then, then))
        with Claim(path) as claim:
            assert claim.mine()
            assert not stopped.mine()


def test_the_heartbeat_touches_and_an_owner_notices_its_loss(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    with Claim(path, heartbeat_seconds=0.02) as claim:
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime > 1
        foreign(path, 0)
        assert not claim.mine()
    assert path.exists(), "another's claim is left alone"


def test_a_damaged_claim_expires_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    path.write_text("{")
    with pytest.raises(HeldError, match="unknown"), Claim(path):
        pass
    os.utime(path, (1, 1))
    with Claim(path) as claim:
        assert claim.mine()


def test_many_want_it_and_one_gets_it(tmp_path: Path) -> None:
    """Twenty threads on a stale claim: never two holders at once."""
    path = tmp_path / "claim"
    foreign(path, 1000)
    holders, most, refused = [0], [0], [0]
    lock = threading.Lock()

    def contend() -> None:
        try:
            with Claim(path):
                with lock:
                    holders[0] += 1
                    most[0] = max(most[0], holders[0])
                time.sleep(0.05)
                with lock:
                    holders[0] -= 1
        except HeldError:
            with lock:
                refused[0] += 1

    threads = [threading.Thread(target=contend) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert refused[0] < 20


def test_a_clock_set_back_takes_no_claim_from_a_living_process(tmp_path: Path) -> None:
    """Its heartbeat then lies in the future; on another host, nobody can know, and it expires like any other."""
    path = tmp_path / "claim"
    with Claim(path):
        ahead = time.time() + 3600
        os.utime(path, (ahead, ahead))
        with pytest.raises(HeldError), Claim(path):
            pass
        assert holder_of(path) is not None
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"machine": "elsewhere", "host": "elsewhere"}))
        os.utime(path, (ahead, ahead))
        assert holder_of(path) is None


def test_a_reader_who_may_not_write_reads_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Claim(tmp_path / "claim"):

        def refuse(*arguments: object, **keywords: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr("sweeps.ledger.claims.tempfile.NamedTemporaryFile", refuse)
        assert holder_of(tmp_path / "claim") is not None
