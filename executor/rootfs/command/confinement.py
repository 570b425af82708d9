"""The child's side of a RUN: from the fork to the exec of the command, inside its root.

Mounts for the run (/proc, /sys, /dev, resolv.conf) are made in a mount namespace that dies with the command, so
nothing has to be unmounted, whatever happens. Only `os`, `signal` and system calls here: this runs after a fork.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from executor.dataclass import dataclass
from executor.rootfs.base import CommandMount, RunRequest
from executor.rootfs.command.commandmounts import attach
from executor.rootfs.command.runmounts import RunMount, mount_all, mount_proc
from executor.rootfs.command.strays import mark
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.forking import close_all_but
from executor.rootfs.kernel.propagation import make_mounts_private

# The capabilities Docker gives to a container; what is left out cannot be had inside, by set-uid programs neither.
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
_DISPENSABLE = (29, 8)
"""CAP_AUDIT_WRITE, CAP_SETPCAP: what builds do without, and where engines differ in what they give."""
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _nothing() -> object:
    """Nothing more is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """How a command is shut in. `root` is its root directory on this machine.

    `namespaces` gives it mounts, process ids, shared memory and message queues of its own, and then `mounts` are
    made (targets are host paths).
    `bind_root` makes the root a mount of its own, which a plain directory needs before pivot_root.
    `command_mounts` are those of the request, in order; `staging` is an empty directory for making them.
    `at_last` is called when all else is done and the command is about to begin.
    """

    root: str
    namespaces: bool = True
    mounts: Sequence[RunMount] = ()
    bind_root: bool = False
    command_mounts: Sequence[CommandMount] = ()
    staging: str = ""
    at_last: Callable[[], object] = _nothing


class _Refusal(Exception):  # noqa: N818 - a message on its way out of the child
    """Why the command did not start; `kind` is `step` (its own fault) or `unfit` (this machine's)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def guard(request: RunRequest, confinement: Confinement, pipes: tuple[int, int, int]) -> NoReturn:
    """The first child: make the namespaces, start the command, wait, kill what it left, exit with its status.

    `pipes` are the write ends for the output, the reason of a failed start, and the command's process id.
    """
    status = 70
    try:
        _quiet_signals()
        close_all_but(*pipes)
        os.setsid()
        syscalls.die_with_parent(signal.SIGKILL)
        status = _guarded(request, confinement, pipes)
    except _Refusal as refusal:
        _tell(pipes[1], refusal)
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        _tell(pipes[1], _Refusal("unfit", f"cannot start a command: {error}"))
    os._exit(status)


def _guarded(request: RunRequest, confinement: Confinement, pipes: tuple[int, int, int]) -> int:
    if confinement.namespaces:
        _enter_namespaces(confinement, request)
    else:
        syscalls.adopt_orphans()
    output, failure, pid_pipe = pipes
    command = os.fork()
    if command == 0:
        _become(request, confinement, (os.open(os.devnull, os.O_RDONLY), output, output), failure)
    os.write(pid_pipe, b"%d" % command)
    for descriptor in pipes:
        os.close(descriptor)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    if not confinement.namespaces:
        _kill_descendants()
    return status if status >= 0 else 128 - status


def _enter_namespaces(confinement: Confinement, request: RunRequest) -> None:
    if not request.network:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        syscalls.raise_loopback()
    with suppress(PermissionError):  # its name is not worth a command that does not run
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        syscalls.set_host_name(request.host_name)
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC)
    make_mounts_private()
    # last: the first process that is forked from here on is PID 1 of the new namespace, and has to be the command
    syscalls.unshare(syscalls.CLONE_NEWPID)
    if confinement.bind_root:
        syscalls.mount(confinement.root, confinement.root, None, syscalls.MS_BIND)
    mount_all(confinement.mounts, request.scripts, own_network=not request.network)
    for mount in confinement.command_mounts:
        try:
            attach(confinement.root, mount, confinement.staging)
        except OSError as error:
            kind = "unfit" if error.errno == errno.EPERM else "step"
            raise _Refusal(kind, f"cannot mount on {mount.target}: {_lower(error)}") from error


def _kill_descendants() -> None:
    """Kill what the command left: as their subreaper this process sees them all, generation by generation."""
    while True:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:  # no codec has to be there
            children = file.read().split()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _become(
    request: RunRequest, confinement: Confinement, descriptors: tuple[int, int, int], failure: int
) -> NoReturn:
    """The second child: enter the root, take the identity, and become the command."""
    try:
        os.setsid()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        if confinement.namespaces:
            mount_proc(confinement.mounts)
        _enter_root(confinement)
        if not confinement.namespaces:
            mark(os.getppid())
        os.umask(0o022)
        _take_identity(request, alone=confinement.namespaces)
        syscalls.die_with_parent(signal.SIGKILL)
        _enter_cwd(request.cwd)
        _default_signals()
        confinement.at_last()
        _execute(request)
    except _Refusal as refusal:
        _tell(failure, refusal)
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        _tell(failure, _Refusal("unfit", f"cannot start a command: {error}"))
    os._exit(127)


def _enter_root(confinement: Confinement) -> None:
    """pivot_root and let go of the old root; plain chroot where that is not allowed."""
    os.chdir(confinement.root)
    if confinement.namespaces:
        try:
            syscalls.pivot_root()
            syscalls.unmount(".", syscalls.MNT_DETACH)
            os.chdir("/")
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            return
    if confinement.root != "/":
        os.chroot(".")
        os.chdir("/")


def _take_identity(request: RunRequest, *, alone: bool) -> None:
    identity = request.identity
    try:
        # the primary group too, as with BuildKit: what a file's mode denies to it then holds after setgid as well
        os.setgroups(tuple(dict.fromkeys((identity.gid, *identity.groups))))
    except PermissionError:
        if identity.groups:
            raise _Refusal("unfit", "cannot take supplementary groups in this user namespace") from None
    with suppress(PermissionError):  # without CAP_SETPCAP; then there is little to drop
        syscalls.limit_capabilities(_CAPABILITIES if alone else _CAPABILITIES - _spared())
    with suppress(OSError):  # a pipe is opened again, as by `> /dev/stdout`, with the rights of its owner
        os.fchown(1, identity.uid, -1)
    try:
        os.setgid(identity.gid)
        os.setuid(identity.uid)
    except OSError as error:
        raise _Refusal("unfit", f"cannot become {identity.uid}:{identity.gid}: {error.strerror}") from error


def _spared() -> frozenset[int]:
    """The first of the capabilities to do without that there is.

    A process may look into another (its memory, environment, open files) only if it has all that this one has, and
    the builder and the shells of the container are there for a command without a namespace of its own to see.
    """
    return frozenset(next(([each] for each in _DISPENSABLE if syscalls.has_capability(each)), []))


def _enter_cwd(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise _Refusal("step", f'cannot change to the working directory "{cwd}": {_lower(error)}') from error


def _execute(request: RunRequest) -> NoReturn:
    """Find argv[0] in the environment's PATH and become it; messages are worded as runc's."""
    name = request.argv[0] if request.argv else ""
    paths = [name]
    if "/" not in name:
        folders = request.environment.get("PATH", _DEFAULT_PATH).split(":")
        paths = [os.path.join(folder or ".", name) for folder in folders] if name else []
    denied: OSError | None = None
    for path in paths:
        try:
            os.execve(path, request.argv, request.environment)  # noqa: S606 - no shell is wanted
        except (FileNotFoundError, NotADirectoryError):
            if "/" in name and not os.path.lexists(name):
                raise _Refusal("step", f'exec: "{name}": stat {name}: no such file or directory') from None
            if os.path.exists(path):
                raise _Refusal("step", f"exec {path}: no such file or directory (its interpreter)") from None
        except PermissionError as error:
            denied = error
        except OSError as error:
            raise _Refusal("step", f"exec {path}: {_lower(error)}") from error
    if denied:
        raise _Refusal("step", f'exec: "{name}": permission denied')
    raise _Refusal("step", f'exec: "{name}": executable file not found in $PATH')


def _lower(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _tell(descriptor: int, refusal: _Refusal) -> None:
    with suppress(OSError):
        os.write(descriptor, f"{refusal.kind}:{refusal}".encode("utf-8", "replace")[:4000])


def _quiet_signals() -> None:
    """The guard dies with its parent or by SIGKILL only; handlers of the worker are not its own."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def _default_signals() -> None:
    """Undo what Python and the guard ignore; exec resets handlers by itself but keeps ignored signals."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
