"""What a build meets on this machine beside root filesystems: limits of its cgroup, umask, emulators, git.

Each reads below `root`, which is another than `/` in tests only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from executor.diagnosis import LimitsFinding
from executor.ownroot import own_root

_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest multiple of a page
_SECONDS = 10


def limits(root: str = "/") -> LimitsFinding:
    """Memory and processors that the cgroups of this process leave it (cgroups(7))."""
    cores = len(os.sched_getaffinity(0))
    return LimitsFinding(memory=_memory(root), cpus=_cpus(root), usable_cores=cores)


def umask(root: str = "/") -> str:
    """This process's umask in octal, '' where /proc does not tell."""
    for line in _read(root, "proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "Umask":
            return value.strip()
    return ""


def emulators(root: str = "/") -> tuple[str, ...] | None:
    """The enabled handlers of qemu in binfmt_misc, None where it is not mounted (as in most containers)."""
    folder = Path(root, "proc/sys/fs/binfmt_misc")
    if not (folder / "status").exists():
        return None
    handlers = sorted(path.name for path in folder.glob("qemu-*"))
    return tuple(name for name in handlers if _read(root, f"proc/sys/fs/binfmt_misc/{name}").startswith("enabled"))


def git_version() -> str:
    """What `git --version` says, '' when git is missing, does not start, or an image has the place of `/` now."""
    with suppress(OSError, subprocess.SubprocessError), own_root(wait=False):
        if program := shutil.which("git"):
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
            )
            return done.stdout.strip().removeprefix("git version ")
    return ""


def _memory(root: str) -> int | None:
    names = ("memory.max", "memory.limit_in_bytes")
    found = [int(text) for text in _cgroup_values(root, "memory", *names) if text.isdecimal()]
    return min((value for value in found if value < _UNLIMITED), default=None)


def _cpus(root: str) -> float | None:
    shares = [text.split() for text in _cgroup_values(root, "cpu", "cpu.max", "cpu.cfs_quota_us")]
    periods = list(_cgroup_values(root, "cpu", "", "cpu.cfs_period_us"))
    pairs = [tuple(share) for share in shares if len(share) == 2]
    pairs += [(share[0], period) for share, period in zip(shares, periods, strict=False) if len(share) == 1]
    quotas = [int(quota) / int(period) for quota, period in pairs if quota.isdecimal() and period.isdecimal()]
    return min(quotas, default=None)


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
