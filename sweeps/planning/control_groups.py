"""What a process's control groups allow it, as containers and Slurm's jobs have them: memory, and cores by quota.

Version 2 has one line, `0::/path`; version 1 has `<n>:<controllers>:/path`. A group's limit holds for those below it.

References
----------
The kernel's documentation of cgroup-v2 (memory.max, cpu.max) and cgroup-v1 (memory.limit_in_bytes, cpu.cfs_quota_us).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS, MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def memory_limits(groups: Path = GROUPS, mounted: Path = MOUNTED) -> Iterator[int]:
    """Yield the limits in bytes."""
    for version, place in _places("memory", groups, mounted):
        with suppress(OSError, ValueError):  # not there, or "max"
            yield int((place / ("memory.max" if version == 2 else "memory.limit_in_bytes")).read_text())


def cpu_quotas(groups: Path = GROUPS, mounted: Path = MOUNTED) -> Iterator[float]:
    """Yield the quotas in cores: the time on them that is allowed in each period, over the period."""
    for version, place in _places("cpu", groups, mounted):
        with suppress(OSError, ValueError):  # not there, or "max"
            names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = " ".join((place / name).read_text() for name in names).split()
            if int(quota) > 0:  # version 1: -1 is no quota
                yield int(quota) / int(period)


def _places(controller: str, groups: Path, mounted: Path) -> Iterator[tuple[int, Path]]:
    """Yield the version and the folder of each group that the process is in, and of those above them."""
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, kind, name = line.split(":", 2)
            if kind and controller not in kind.split(","):
                continue
            for base in dict.fromkeys((mounted / kind, mounted / controller)) if kind else (mounted,):
                group = base / name.lstrip("/")
                for place in (group, *group.parents):
                    yield (1 if kind else 2), place
