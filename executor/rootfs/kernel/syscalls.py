"""The system calls that the standard library does not offer, by ctypes; all of them raise OSError.

They are used by this package only. Numbers of calls without a libc wrapper are the same on every Linux port but
alpha (those above 403); pivot_root's differ and are listed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_FS = 0x00000200

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_RELATIME = 0x200000

MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36

_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_OPENAT2 = 437
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {
    "x86_64": 155,
    "aarch64": 41,
    "riscv64": 41,
    "armv7l": 218,
    "i686": 217,
    "s390x": 217,
    "ppc64le": 203,
}

IPC_KINDS = ("msg", "sem", "shm")
_IPC_RMID = 0
_GETPID = 11

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def _syscall(number: int, *arguments: object, path: str | None = None) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), path)


def _encode(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    """Leave the namespaces (or shared attributes) that `flags` name; affects the calling thread."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def set_host_name(name: str) -> None:
    """sethostname(2), of the calling process's UTS namespace."""
    encoded = os.fsencode(name)
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))))


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        _encode(source), _encode(target), _encode(kind), ctypes.c_ulong(flags), _encode(options or None)
    )
    _check(result, target)


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2); never follows a symbolic link."""
    _check(_libc.umount2(_encode(target), ctypes.c_int(flags | UMOUNT_NOFOLLOW)), target)


def make_tree_read_only(top: str) -> None:
    """mount_setattr(2): the mount `top` and all that are below it become read-only. ENOSYS before Linux 5.12."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    place = (ctypes.c_int(_AT_FDCWD), _encode(top), ctypes.c_uint(_AT_RECURSIVE))
    _syscall(_MOUNT_SETATTR, *place, attributes, ctypes.c_size_t(len(attributes)), path=top)


def open_file_system(kind: str) -> int:
    """fsopen(2): a descriptor to configure a new file system with."""
    return _syscall(_FSOPEN, _encode(kind), ctypes.c_uint(_FSOPEN_CLOEXEC))


def configure(descriptor: int, key: str, value: str | None = None) -> None:
    """fsconfig(2): set a string option, or a flag when `value` is None."""
    command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
    arguments = (ctypes.c_int(descriptor), ctypes.c_uint(command), _encode(key), _encode(value), ctypes.c_int(0))
    _syscall(_FSCONFIG, *arguments, path=key)


def attach(descriptor: int, target: str) -> None:
    """Create the configured file system and mount it on `target`."""
    create = (ctypes.c_int(descriptor), ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, ctypes.c_int(0))
    _syscall(_FSCONFIG, *create, path=target)
    flags = (ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(0))
    mounted = _syscall(_FSMOUNT, ctypes.c_int(descriptor), *flags, path=target)
    try:
        source = (ctypes.c_int(mounted), b"")
        place = (ctypes.c_int(_AT_FDCWD), _encode(target), ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH))
        _syscall(_MOVE_MOUNT, *source, *place, path=target)
    finally:
        os.close(mounted)


def open_beneath(directory: int, path: str, flags: int, resolve: int) -> int:
    """openat2(2) with O_CLOEXEC. ENOSYS where the kernel (or a seccomp filter, as EPERM) does not offer it."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, resolve)
    arguments = (ctypes.c_int(directory), _encode(path), how, ctypes.c_size_t(len(how)))
    return _syscall(_OPENAT2, *arguments, path=path)


def pivot_root() -> None:
    """pivot_root(2): the working directory becomes the root, and the old root is mounted upon it.

    ENOSYS on machines whose call number is not known here.
    """
    _syscall(_PIVOT_ROOT.get(os.uname().machine, -1), b".", b".", path=".")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when the thread that forked it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0))


def raise_loopback() -> None:
    """Bring up the loopback interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def remove_ipc(kind: str, number: int) -> None:
    """Remove a queue, a set of semaphores or shared memory of System V; `kind` is one of IPC_KINDS."""
    if kind == "sem":
        _check(_libc.semctl(ctypes.c_int(number), 0, ctypes.c_int(_IPC_RMID)))
        return
    control = _libc.shmctl if kind == "shm" else _libc.msgctl
    _check(control(ctypes.c_int(number), ctypes.c_int(_IPC_RMID), None))


def last_user_of_semaphores(number: int) -> int:
    """The process that last used the first semaphore of a set of System V; 0 for none, or one not seen here."""
    return _check(_libc.semctl(ctypes.c_int(number), 0, ctypes.c_int(_GETPID)))


def forbid_reading() -> None:
    """Let only processes with CAP_SYS_PTRACE see this one's memory, environment and open files; forks as well."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0), 0, 0, 0))


def has_capability(number: int) -> bool:
    """Whether a program of root's that this process becomes may have a capability."""
    return bool(_libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) == 1)


def limit_capabilities(keep: frozenset[int]) -> None:
    """Drop every capability not in `keep` from the bounding set, so that no later exec gains it."""
    for number in range(64):
        known = _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0)
        if known < 0:  # the kernel has no more
            return
        if known and number not in keep:
            _check(_libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0))
