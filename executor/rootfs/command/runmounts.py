"""What a command finds mounted in its root: what a container has, made in the command's own mount namespace.

    /proc                        of its own process ids; this machine's where a new one may not be mounted
    /sys                         this machine's with all that is mounted in it (control groups), read-only
    /dev                         tmpfs with Docker's devices, pts, shm and the links to /proc/self/fd
    /etc/resolv.conf, /etc/hosts this machine's, read-only; in hosts the name of the sandbox as well

Of /proc and /sys commands do not get what Docker and BuildKit keep from theirs: files by which root is root of the
machine whatever capabilities it lacks, as /proc/sys/kernel/core_pattern. A new /proc has them even in a container
whose own has not.

Runs between fork and exec: only `os` and system calls.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from executor.dataclass import dataclass
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.mountinfo import mounts as mounts_here

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
MountKind = Literal["proc", "sys", "dev", "file"]
_SAFE = syscalls.MS_NOSUID | syscalls.MS_NOEXEC | syscalls.MS_NODEV
# statvfs says relatime with another bit than mount(2)
_KEPT_FLAGS = (
    syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC | syscalls.MS_NOATIME | syscalls.MS_NODIRATIME
)
_ST_RELATIME = 0x1000
_HIDDEN_IN_PROC = (
    "acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats",
)  # fmt: skip
_READ_ONLY_IN_PROC = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_HIDDEN_IN_SYS = ("firmware", "devices/virtual/powercap")
_EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True)
class RunMount:
    """A mount for the time of a run: what, and the host path of the place inside the root, links resolved."""

    kind: MountKind
    target: str
    source: str = ""


def mount_all(mounts: Sequence[RunMount], scripts: Mapping[str, bytes], *, own_network: bool = False) -> None:
    """Make all but /proc, which takes a process of the new namespace; put `scripts` into /dev. Raises OSError.

    With a network namespace of its own, /sys shows that one's interfaces, where it may be mounted.
    """
    for mount in mounts:
        if mount.kind == "sys":
            _mount_sys(mount.target, own=own_network)
            _hide(mount.target, _HIDDEN_IN_SYS)
            _make_tree_read_only(mount.target)
        elif mount.kind == "dev":
            _mount_dev(mount.target)
            write_scripts(mount.target, scripts)
        elif mount.kind == "file":
            syscalls.mount(mount.source, mount.target, None, syscalls.MS_BIND)
            make_read_only(mount.target)


def _mount_sys(target: str, *, own: bool) -> None:
    if own:
        with suppress(OSError):
            syscalls.mount("sysfs", target, "sysfs", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
            return
    syscalls.mount("/sys", target, None, syscalls.MS_BIND | syscalls.MS_REC)


def write_scripts(dev: str, scripts: Mapping[str, bytes]) -> None:
    """Write executable files, named by their paths inside the root, into the directory that is its /dev."""
    for name, content in scripts.items():
        path = dev + name.removeprefix("/dev")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _EXECUTABLE), "wb") as file:
            file.write(content)
        for made in (os.path.dirname(path), path):
            os.chmod(made, _EXECUTABLE)  # whatever the umask is


def mount_proc(mounts: Sequence[RunMount]) -> None:
    """Mount /proc, called in the new namespace of process ids."""
    for mount in mounts:
        if mount.kind == "proc":
            try:
                syscalls.mount("proc", mount.target, "proc", _SAFE)
            except PermissionError:
                syscalls.mount("/proc", mount.target, None, syscalls.MS_BIND | syscalls.MS_REC)
            _hide(mount.target, _HIDDEN_IN_PROC)
            for name in _READ_ONLY_IN_PROC:
                with suppress(OSError):  # not on this kernel
                    place = f"{mount.target}/{name}"
                    syscalls.mount(place, place, None, syscalls.MS_BIND | syscalls.MS_REC)
                    _make_tree_read_only(place)


def _hide(top: str, names: Sequence[str]) -> None:
    """Cover what is at `names` in `top` with something empty."""
    for name in names:
        place = f"{top}/{name}"
        with suppress(OSError):  # not on this kernel
            if os.path.isdir(place):
                syscalls.mount("tmpfs", place, "tmpfs", syscalls.MS_RDONLY | _SAFE)
            else:
                syscalls.mount("/dev/null", place, None, syscalls.MS_BIND)


def _make_tree_read_only(top: str) -> None:
    """The mount `top` and all below it. Where a container's sandbox locks their flags they are that already."""
    try:
        syscalls.make_tree_read_only(top)
    except OSError:
        for mount in mounts_here():
            if mount.point == top or mount.point.startswith(f"{top}/"):
                with suppress(OSError):
                    make_read_only(mount.point)


def make_read_only(target: str, more: int = 0) -> None:
    """Remount a bind read-only, with `more` flags and those it has: a user namespace may never drop any."""
    flags = os.statvfs(target).f_flag
    kept = flags & _KEPT_FLAGS | (syscalls.MS_RELATIME if flags & _ST_RELATIME else 0)
    read_only = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
    syscalls.mount("none", target, None, read_only | kept | more)


def _mount_dev(target: str) -> None:
    syscalls.mount("tmpfs", target, "tmpfs", syscalls.MS_NOSUID, "mode=755,size=65536k")
    for name in DEVICES:
        path = f"{target}/{name}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        with suppress(OSError):  # a machine without that device
            syscalls.mount(f"/dev/{name}", path, None, syscalls.MS_BIND)
    for name, link in DEVICE_LINKS.items():
        os.symlink(link, f"{target}/{name}")
    os.mkdir(f"{target}/pts", 0o755)
    os.mkdir(f"{target}/shm", 0o1777)
    _mount_terminals(f"{target}/pts")
    syscalls.mount("shm", f"{target}/shm", "tmpfs", _SAFE, "mode=1777,size=65536k")
    os.mkdir(f"{target}/mqueue", 0o755)
    with suppress(OSError):  # a kernel without message queues
        syscalls.mount("mqueue", f"{target}/mqueue", "mqueue", _SAFE)


def _mount_terminals(target: str) -> None:
    options = "newinstance,ptmxmode=0666,mode=0620"
    for more in (",gid=5", ""):  # group tty may not exist in a user namespace
        try:
            syscalls.mount("devpts", target, "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, options + more)
        except OSError:
            continue
        return
