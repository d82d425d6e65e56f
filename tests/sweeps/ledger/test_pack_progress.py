from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.ledger.pack_progress import FILE, Pace, checkpointed


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert Pace.read(tmp_path) is None
    Pace(30, 100, 11, 12.5).write(tmp_path)
    assert Pace.read(tmp_path) == Pace(30, 100, 11, 12.5)
    Pace(30, 100, 11, 12.5, 20).write(tmp_path)
    assert Pace.read(tmp_path) == Pace(30, 100, 11, 12.5, 20)


@pytest.mark.parametrize(
    ("pace", "line"),
    [
        (Pace(30, 1000, 11, 12.5), "11 models, step 30 of 1,000, 138 model-steps/s, ETA 1 min 18 s"),
        (Pace(2500, 5000, 1, 0.0, 2400), "1 model, step 2,500 of 5,000 (resumed at 2,400), ETA unknown"),
        (Pace(1000, 1000, 2, 4.0), "2 models, step 1,000 of 1,000, 8 model-steps/s, evaluating"),
    ],
)
def test_a_pace_in_words(pace: Pace, line: str) -> None:
    assert pace.line() == line


@pytest.mark.parametrize(
    "change",
    [{"step": 101}, {"step": -1}, {"steps": "100"}, {"members": 0}, {"steps_per_second": -1.0}, {"step": [1]}],
)
def test_nonsense_is_no_pace(tmp_path: Path, change: dict[str, object]) -> None:
    facts = {"step": 30, "steps": 100, "members": 11, "steps_per_second": 12.5} | change
    (tmp_path / FILE).write_text(json.dumps(facts))
    assert Pace.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"step": 1', '{"steps_per_second": 1e999}'])
def test_damage_is_no_pace(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert Pace.read(tmp_path) is None


def test_the_newest_checkpoint_counts(tmp_path: Path) -> None:
    assert checkpointed(tmp_path) == 0
    for name in ("checkpoint-90", "checkpoint-120", "checkpoint-x", ".checkpoint-500"):
        (tmp_path / name).mkdir()
    assert checkpointed(tmp_path) == 120
