from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweeps.planning import resources
from sweeps.planning.control_groups import cpu_quotas, memory_limits

GIB = 2**30


def system(folder: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    groups, mounted = folder / "cgroup", folder / "mounted"
    groups.write_text(f"{line}\n")
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(text)
    return groups, mounted


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
def test_a_jobs_own_memory_is_found(line: str, files: dict[str, str], limits: list[int], tmp_path: Path) -> None:
    assert list(memory_limits(*system(tmp_path, line, files))) == limits


@pytest.mark.parametrize(
    ("line", "files", "quotas"),
    [
        ("0::/box", {"box/cpu.max": "100000 100000\n"}, [1.0]),
        ("0::/a/b", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n"}, [2.5]),
        (
            "3:cpu,cpuacct:/s",
            {"cpu,cpuacct/s/cpu.cfs_quota_us": "50000", "cpu,cpuacct/s/cpu.cfs_period_us": "100000"},
            [0.5],
        ),
        ("3:cpu:/s", {"cpu/s/cpu.cfs_quota_us": "-1", "cpu/s/cpu.cfs_period_us": "100000"}, []),
        ("9:memory:/s", {"memory/s/cpu.max": "1 1"}, []),
        ("0::/box", {"box/cpu.max": "nonsense"}, []),
    ],
)
def test_a_containers_cores_are_found(line: str, files: dict[str, str], quotas: list[float], tmp_path: Path) -> None:
    assert list(cpu_quotas(*system(tmp_path, line, files))) == quotas


@pytest.mark.parametrize(("quota", "cores"), [(0.5, 1), (1.0, 1), (1.5, 2), (1e6, None)])
def test_the_least_of_affinity_and_quota_counts(
    quota: float, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "cpu_quotas", lambda: iter([quota]))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert resources.usable_cpus() == (8 if cores is None else cores)


def test_a_system_without_control_groups_has_no_such_limit(tmp_path: Path) -> None:
    assert [*memory_limits(tmp_path / "no", tmp_path), *cpu_quotas(tmp_path / "no", tmp_path)] == []
