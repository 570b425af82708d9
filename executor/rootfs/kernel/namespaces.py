"""A mount namespace of one's own: what a worker enters before it mounts anything, so that nothing leaks out.

root unshares mounts alone. Others enter a user namespace first, where they are uid 0: with the ranges of
/etc/subuid and /etc/subgid when newuidmap and newgidmap serve, else with their own id only. Call it before threads
are started: the kernel gives namespaces to the calling thread, and threads started later inherit them.
"""

from __future__ import annotations

import enum
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from executor.errors import UnfitError
from executor.rootfs.base import Probe
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.privileges import Privileges, read_privileges
from executor.rootfs.kernel.propagation import make_mounts_private
from executor.rootfs.kernel.refusals import mounts_refused, user_mounts_refused, user_namespace_refused
from executor.rootfs.kernel.trial import try_in_child

_OWN_IDS = 65536

_found_out: list[Probe] = []
"""What unsharing mounts came to where `find_out_for_forks` has tried it."""


class Privilege(enum.Enum):
    """What the process may do with owners and mounts."""

    ROOT = "root"
    USER_NAMESPACE = "user namespace with a range of ids"
    SINGLE_ID = "user namespace with one id"
    NONE = "no privileges"


def enter_mount_namespace(*, as_user: bool = True) -> Privilege:
    """Enter a private mount namespace where that is allowed, and before it a user namespace where it takes one.

    The latter only with `as_user`: it is of no use to who mounts nothing. Returns what the process is then;
    drivers find out by trying what it may do. Call it while the process has one thread.
    """
    alone = _found_out[0] if _found_out else try_in_child(_unshare_mounts)
    if alone.usable:  # half of it would be worse than nothing, here and below
        _unshare_mounts()
    elif as_user and try_in_child(_enter_both).usable:
        _enter_both()
    return current_privilege()


def find_out_for_forks() -> None:
    """Try what `enter_mount_namespace` tries first, once for all processes that are forked from this one.

    They must have the rights that this one has.
    """
    with suppress(UnfitError):  # no process can be started now: whoever is forked later finds out for himself
        _found_out[:] = [try_in_child(_unshare_mounts)]


def isolate_mounts() -> None:
    """Enter a private mount namespace. Raises UnfitError that says exactly why that is not allowed."""
    try:
        _unshare_mounts()
    except OSError as error:
        privileges = read_privileges()
        other_way = try_in_child(lambda: _explain_user_namespace(privileges)).reason
        raise UnfitError(mounts_refused(error, privileges, other_way)) from error


def _unshare_mounts() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    make_mounts_private()


def _enter_both() -> None:
    _enter_user_namespace()
    _unshare_mounts()


def _explain_user_namespace(privileges: Privileges) -> None:
    """Raise UnfitError with the reason why the other way, by a user namespace, does not work."""
    try:
        _enter_user_namespace()
    except OSError as error:
        raise UnfitError(user_namespace_refused(error, privileges)) from error
    try:
        _unshare_mounts()
    except OSError as error:
        raise UnfitError(user_mounts_refused(error, privileges)) from error


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

    def __init__(self, commands: Sequence[list[str]]) -> None:
        """`commands` write the maps; none of them: this process's own ids are mapped one to one."""
        self._commands = commands
        self._child = 0
        self._go = -1

    @classmethod
    def find(cls, uid: int, gid: int) -> _RangeMapper | None:
        """A mapper for the ranges this user has, or None when it has none or the programs are not installed.

        root without the right to mount (a container's) may map its own ids one to one.
        """
        if uid == 0:
            return cls(())
        commands = []
        for program, file, own in (("newuidmap", "/etc/subuid", uid), ("newgidmap", "/etc/subgid", gid)):
            found, path = subordinate_range(_read(file), uid, _user_name(uid)), shutil.which(program)
            if not found or not path:
                return None
            commands.append([path, str(os.getpid()), "0", str(own), "1", "1", str(found[0]), str(found[1])])
        return cls(commands)

    def __enter__(self) -> None:
        process, (waiting, self._go) = os.getpid(), os.pipe()
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.close(self._go)
                if os.read(waiting, 1):
                    status = _write_maps(process, self._commands)
            finally:
                os._exit(status)
        os.close(waiting)

    def map(self) -> bool:
        """Have the maps written, now that this process is in the new namespace."""
        os.write(self._go, b"!")
        child, self._child = self._child, 0
        return os.waitpid(child, 0)[1] == 0

    def __exit__(self, *exc: object) -> None:
        os.close(self._go)
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)


def _write_maps(process: int, commands: Sequence[list[str]]) -> int:
    if not commands:
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{process}/{name}", f"0 0 {_OWN_IDS}")
    null = os.open(os.devnull, os.O_WRONLY)
    quiet = [(os.POSIX_SPAWN_DUP2, null, 2)]
    for command in commands:
        if os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=quiet), 0)[1]:
            return 1
    return 0


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
