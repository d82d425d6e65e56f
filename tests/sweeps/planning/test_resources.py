from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.planning.resources import _own_limits, local_memory

GIB = 2**30


@pytest.mark.parametrize(
    ("line", "files", "limits"),
    [
        ("0::/system.slice/job_7/step_0", {"system.slice/job_7/memory.max": f"{3 * GIB}\n"}, [3 * GIB]),
        ("0::/a/b", {"a/b/memory.max": "max\n", "a/memory.max": "5\n", "memory.max": "7\n"}, [5, 7]),
        ("9:memory:/slurm/job_7", {"memory/slurm/job_7/memory.limit_in_bytes": "11\n"}, [11]),
        ("3:cpu,cpuacct:/slurm", {"cpu/slurm/memory.limit_in_bytes": "11\n"}, []),
        ("0::/", {}, []),
    ],
)
def test_a_jobs_own_limit_is_found(line: str, files: dict[str, str], limits: list[int], tmp_path: Path) -> None:
    groups, mounted = tmp_path / "cgroup", tmp_path / "mounted"
    groups.write_text(f"{line}\n")
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(text)
    assert list(_own_limits(groups, mounted)) == limits


def test_a_system_without_control_groups_has_no_such_limit(tmp_path: Path) -> None:
    assert list(_own_limits(tmp_path / "no", tmp_path)) == []


def test_trials_share_the_memory() -> None:
    whole, half = local_memory(0, 1), local_memory(0, 2)
    assert whole
    assert half == whole // 2
