"""The mounts a RUN asks for: their places in the root before the fork, the mounts themselves after it.

They are made in the command's own mount namespace, parents before what is mounted inside of them, and end with it.
A secret lies in a tmpfs that only the command's namespace has. `attach` runs between fork and exec: only `os` and
system calls.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from executor.dataclass import replace
from executor.errors import StepError, UnfitError
from executor.rootfs.base import BindMount, CommandMount, SecretMount, TmpfsMount
from executor.rootfs.command.runmounts import make_read_only
from executor.rootfs.command.stubs import Stubs
from executor.rootfs.files.safepath import resolve
from executor.rootfs.kernel import syscalls

_DIRECTORY_MODE = 0o755
_LOCKED_DOWN = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


@contextmanager
def command_places(root: str, mounts: Sequence[CommandMount]) -> Iterator[tuple[CommandMount, ...]]:
    """Make the places of `mounts` within the context; what was missing is gone after it if it is still empty.

    Yields the mounts, a tmpfs with the mode of the directory that it covers. Raises StepError when something else
    is in a place, UnfitError when it cannot be made.
    """
    stubs = Stubs(root)
    try:
        yield tuple(_placed(root, mount, mounts[:number], stubs) for number, mount in enumerate(mounts))
    finally:
        stubs.remove()


def _placed(root: str, mount: CommandMount, before: Sequence[CommandMount], stubs: Stubs) -> CommandMount:
    if any(mount.target.startswith(f"{earlier.target}/") for earlier in before):
        return mount  # its place is in that mount, where `attach` makes it
    host = resolve(root, mount.target)
    mount = covering(host, mount)
    try:
        place = stubs.directory(mount.target) if wants_directory(mount) else stubs.file(mount.target)
    except OSError as error:
        raise UnfitError(f"cannot make the mount point {mount.target}: {error.strerror}") from error
    if place is None:
        kind = "directory" if wants_directory(mount) else "file"
        raise StepError(f"cannot mount a {kind} on {mount.target}: something else is there")
    return mount


def covering(host: str, mount: CommandMount) -> CommandMount:
    """The mount that covers what is at `host`: a tmpfs takes the mode of the directory there, as with runc."""
    if isinstance(mount, TmpfsMount) and os.path.isdir(host):
        return replace(mount, mode=stat.S_IMODE(os.stat(host).st_mode))
    return mount


def wants_directory(mount: CommandMount) -> bool:
    """Whether the place of `mount` is a directory; else it is a file."""
    return isinstance(mount, TmpfsMount) or (isinstance(mount, BindMount) and os.path.isdir(mount.source))


def attach(root: str, mount: CommandMount, staging: str) -> None:
    """Make one mount in `root`. `staging` is an empty directory outside of it. Raises OSError."""
    target = _place(resolve(root, mount.target), directory=wants_directory(mount))
    match mount:
        case BindMount():
            syscalls.mount(mount.source, target, None, syscalls.MS_BIND)
            if mount.read_only:
                make_read_only(target)
        case TmpfsMount():
            size = f",size={mount.size}" if mount.size else ""
            flags = syscalls.MS_NOSUID | (syscalls.MS_RDONLY if mount.read_only else 0)
            syscalls.mount("tmpfs", target, "tmpfs", flags, f"mode={mount.mode:o}{size}")
        case SecretMount():
            _mount_secret(mount, target, staging)


def _place(target: str, *, directory: bool) -> str:
    """Make what is missing of a place inside of an earlier mount."""
    if not os.path.lexists(target):
        _make_directories(target if directory else os.path.dirname(target))
        if not directory:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    return target


def _make_directories(path: str) -> None:
    if not os.path.lexists(path):
        _make_directories(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, _DIRECTORY_MODE)  # whatever the umask is


def _mount_secret(mount: SecretMount, target: str, staging: str) -> None:
    syscalls.mount("tmpfs", staging, "tmpfs", _LOCKED_DOWN, "mode=700")
    try:
        path = f"{staging}/secret"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(mount.content)
        os.chown(path, mount.uid, mount.gid)
        os.chmod(path, mount.mode & 0o777)
        syscalls.mount(path, target, None, syscalls.MS_BIND)
        make_read_only(target, _LOCKED_DOWN)
    finally:
        syscalls.unmount(staging, syscalls.MNT_DETACH)  # the bind keeps the file, and nothing else shows it
