"""What a build meets on this machine beside root filesystems: limits of its cgroup, emulators, git.

Each reads below `root`, which is another than `/` in tests only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from executor.build import cgroup
from executor.diagnosis import LimitsFinding
from executor.ownroot import own_root

_SECONDS = 10


def limits(root: str = "/") -> LimitsFinding:
    """Memory and processors that this process may have."""
    cores = len(os.sched_getaffinity(0))
    return LimitsFinding(memory=cgroup.memory(root), cpus=cgroup.cpus(root), usable_cores=cores)


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


def _read(root: str, path: str) -> str:
    try:
        return Path(root, path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
