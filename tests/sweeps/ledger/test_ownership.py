"""Two owners of one folder, of whom one is suspended at every point at which that could matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.ledger.atomic_files import write_bytes
from sweeps.ledger.claims import Claim
from sweeps.ledger.ownership import Ownership, TakenOverError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pack"


def taking_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """Claim the folder, whoever had it."""
    with monkeypatch.context() as patch:
        patch.setattr("sweeps.ledger.claims.is_live", lambda path, content: False)
        return Claim(folder / "claim").__enter__()


def write(owner: Ownership, text: str) -> None:
    write_bytes(owner.folder / "result", text.encode(), staging=owner.staging)


def test_one_owner_writes_and_leaves_nothing_behind(folder: Path) -> None:
    with Claim(folder / "claim") as claim, Ownership(folder, claim) as owner:
        owner.check()
        write(owner, "one")
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_whoever_takes_over_ends_the_rights_of_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Claim(folder / "claim") as claim, Ownership(folder, claim) as first:
        write(first, "one")
        second_claim = taking_over(folder, monkeypatch)
        with Ownership(folder, second_claim) as second:
            write(second, "two")
            with pytest.raises(TakenOverError, match="another process took it over while this one was suspended"):
                first.check()
            with pytest.raises(FileNotFoundError):
                write(first, "one, late")
            second.check()
        second_claim.__exit__(None, None, None)
    assert [path.name for path in folder.iterdir()] == ["result"]
    assert (folder / "result").read_text() == "two"


@pytest.mark.parametrize("when", ["before it had a folder", "before it fenced off"])
@pytest.mark.parametrize("over", [False, True])
def test_one_that_was_suspended_on_entry_fences_nobody_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, when: str, over: bool
) -> None:
    """It wakes up when another has the folder, or has finished with it (`over`)."""
    owners: list[Ownership] = []

    def sleep() -> None:
        claim = taking_over(folder, monkeypatch)
        owners.append(Ownership(folder, claim).__enter__())
        if over:
            owners[0].__exit__(None, None, None)
            claim.__exit__(None, None, None)

    def sleeping_once(original: Callable[[Ownership], object]) -> Callable[[Ownership], object]:
        def wrapped(owner: Ownership) -> object:
            if not owners:
                with monkeypatch.context() as patch:
                    patch.setattr(Ownership, "_fence_off", fence_off)
                    sleep()
            return original(owner)

        return wrapped

    claim, fence_off = Claim(folder / "claim").__enter__(), Ownership._fence_off
    first = Ownership(folder, claim)
    if when == "before it had a folder":
        sleep()
    else:
        monkeypatch.setattr(Ownership, "_fence_off", sleeping_once(fence_off))
    with pytest.raises(TakenOverError):
        first.__enter__()
    assert not first.staging.exists()
    if not over:
        owners[0].check()
        write(owners[0], "two")
        owners[0].__exit__(None, None, None)
        owners[0].claim.__exit__(None, None, None)
    claim.__exit__(None, None, None)
    assert [path.name for path in folder.iterdir()] == ([] if over else ["result"])


def test_a_folder_that_has_gone_with_its_pack_is_taken_over(folder: Path) -> None:
    claim = Claim(folder / "claim").__enter__()
    (folder / "claim").unlink()
    folder.rmdir()
    with pytest.raises(TakenOverError):
        Ownership(folder, claim).__enter__()
    claim.__exit__(None, None, None)
