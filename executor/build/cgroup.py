"""What the control groups of this process leave it, of version 1 and 2 (cgroups(7)).

Each reads below `root`, which is another than `/` in tests only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 writes "no limit" as the largest multiple of a page


def memory(root: str = "/") -> int | None:
    """The least limit in bytes, None when there is none."""
    names = ("memory.max", "memory.limit_in_bytes")
    found = [int(text) for text in _cgroup_values(root, "memory", *names) if text.isdecimal()]
    return min((value for value in found if value < _UNLIMITED), default=None)


def cpus(root: str = "/") -> float | None:
    """The least quota, in processors; None when there is none."""
    shares = [text.split() for text in _cgroup_values(root, "cpu", "cpu.max", "cpu.cfs_quota_us")]
    periods = list(_cgroup_values(root, "cpu", "", "cpu.cfs_period_us"))
    pairs = [tuple(share) for share in shares if len(share) == 2]
    pairs += [(share[0], period) for share, period in zip(shares, periods, strict=False) if len(share) == 1]
    quotas = [int(quota) / int(period) for quota, period in pairs if quota.isdecimal() and period.isdecimal()]
    return min(quotas, default=None)


def cores() -> int:
    """Processors that this process can have at once, a part of one for a whole."""
    usable, quota = len(os.sched_getaffinity(0)), cpus()
    return usable if quota is None else min(usable, math.ceil(quota))


def _cgroup_values(root: str, controller: str, unified: str, own: str) -> Iterator[str]:
    """What a limit's file says in this process's cgroup and in those above it: `unified` in v2, `own` in v1."""
    for line in _read(root, "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base, name = "sys/fs/cgroup", unified
        elif controller in controllers.split(","):
            base, name = f"sys/fs/cgroup/{controller}", own
        else:
            continue
        # in a container without a cgroup namespace the path is one that only the host has: its top is ours then
        folders = [path, *map(str, Path(path).parents)] if path != "/" else ["/"]
        yield from filter(None, (_read(root, f"{base}{folder.rstrip('/')}/{name}") for folder in folders if name))


def _read(root: str, path: str) -> str:
    try:
        return Path(root, path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
