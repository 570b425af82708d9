"""A mount namespace of one's own: what a worker enters before it mounts anything, so that nothing leaks out.

root unshares mounts alone. Others enter a user namespace first, where they are uid 0: with the ranges of
/etc/subuid and /etc/subgid when newuidmap and newgidmap serve, else with their own id only. Call it before threads
are started: the kernel gives namespaces to the calling thread, and threads started later inherit them.
"""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from executor.rootfs import syscalls
from executor.rootfs.propagation import make_mounts_private
from executor.rootfs.trial import try_in_child


class Privilege(enum.Enum):
    """What the process may do with owners and mounts."""

    ROOT = "root"
    USER_NAMESPACE = "user namespace with a range of ids"
    SINGLE_ID = "user namespace with one id"
    NONE = "no privileges"


def enter_mount_namespace() -> Privilege:
    """Enter a private mount namespace where that is allowed, and before it a user namespace where it takes one.

    Returns what the process is then; drivers find out by trying what it may do. Call it while the process has one
    thread.
    """
    try:
        _unshare_mounts()
    except PermissionError:
        if try_in_child(_enter_both).usable:  # a half-entered user namespace would own nothing
            _enter_both()
    return current_privilege()


def _unshare_mounts() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    make_mounts_private()


def _enter_both() -> None:
    _enter_user_namespace()
    _unshare_mounts()


def current_privilege() -> Privilege:
    """What this process is, by its ids and its map of ids."""
    if os.geteuid() != 0:
        return Privilege.NONE
    ranges = [line.split() for line in _read("/proc/self/uid_map").splitlines()]
    if not ranges or ranges == [["0", "0", "4294967295"]]:
        return Privilege.ROOT
    total = sum(int(length) for _, _, length in ranges)
    return Privilege.SINGLE_ID if total == 1 else Privilege.USER_NAMESPACE


def _enter_user_namespace() -> Privilege:
    uid, gid = os.geteuid(), os.getegid()
    mapper = _RangeMapper.find(uid, gid)
    if mapper:
        with mapper:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            if mapper.map():
                return Privilege.USER_NAMESPACE
    else:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")
    return Privilege.SINGLE_ID


class _RangeMapper:
    """A child that stays outside of the new namespace, where it may write the maps of this process."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def find(cls, uid: int, gid: int) -> _RangeMapper | None:
        """A mapper for the ranges this user has, or None when it has none or the programs are not installed.

        root without the right to mount (a container's) may map its own ids one to one.
        """
        process = os.getpid()
        if uid == 0:
            return cls(" && ".join(f"echo 0 0 65536 > /proc/{process}/{name}_map" for name in ("uid", "gid")))
        commands = []
        for program, file, own in (("newuidmap", "/etc/subuid", uid), ("newgidmap", "/etc/subgid", gid)):
            found, path = subordinate_range(_read(file), uid, _user_name(uid)), shutil.which(program)
            if not found or not path:
                return None
            commands.append(f"{shlex.quote(path)} {process} 0 {own} 1 1 {found[0]} {found[1]}")
        return cls(" && ".join(commands))

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r go && {self._script}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def map(self) -> bool:
        """Have the maps written, now that this process is in the new namespace."""
        if self._process is None:
            return False
        self._process.communicate(b"go\n", timeout=30)
        return self._process.returncode == 0

    def __exit__(self, *exc: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def subordinate_range(text: str, uid: int, name: str) -> tuple[int, int] | None:
    """The first range that an /etc/subuid or /etc/subgid gives to a user, by name or uid: (start, length)."""
    for line in text.splitlines():
        owner, _, numbers = line.strip().partition(":")
        start, _, length = numbers.partition(":")
        if owner in (name, str(uid)) and start.isdecimal() and length.isdecimal() and int(length):
            return int(start), int(length)
    return None


def _user_name(uid: int) -> str:
    for line in _read("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(uid):
            return fields[0]
    return str(uid)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
