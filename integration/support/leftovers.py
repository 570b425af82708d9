"""What a build must not leave behind: processes and mounts.

The test process is a subreaper: whatever a build starts and abandons becomes its child instead of init's, however
the environment was cleaned, and is found here.
"""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on, orphaned descendants become children of this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(pid: int) -> dict[int, str]:
    """Process id → command line of all living children of a process, and theirs."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            with contextlib.suppress(OSError):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            waiting.append(child)
    return found


def mounts(*, below: Path = Path("/")) -> list[str]:
    """The mount points of this mount namespace in a folder."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted(point for point in points if Path(point).is_relative_to(below))


def unmount_below(folder: Path) -> None:
    """Unmount all that is mounted in a folder, at the latest when nobody uses it any more."""
    for point in reversed(mounts(below=folder)):
        subprocess.run(["umount", "--lazy", point], check=False)
