"""Paths inside a root: symbolic links and `..` are taken as a process chrooted there would take them.

`open_in_root` lets the kernel resolve (openat2, safe against races); `resolve` gives a path for those who need one
and expects that nothing changes the root meanwhile, which holds between the steps of a build.
"""

from __future__ import annotations

import errno
import os
import stat

from executor.errors import StepError, step_fault
from executor.rootfs.kernel import syscalls

_MAX_LINKS = 255  # as containerd's; the kernel allows 40 in a path


def resolve(root: str, path: str, *, follow_last: bool = True) -> str:
    """The host path that `path` (absolute or not) names inside `root`.

    Components that do not exist are kept as they stand. `follow_last` False leaves a symbolic link at the end
    alone. Raises StepError when links go in circles.
    """
    pending = _parts(path)
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        if not pending and not follow_last:
            break
        target = _link_target(os.path.join(root, *done))
        if target is None:
            continue
        links += 1
        if links > _MAX_LINKS:
            raise StepError(f"{path}: too many levels of symbolic links")
        del done[-1 if not target.startswith("/") else 0 :]
        pending += _parts(target)
    return os.path.join(root, *done)


def _parts(path: str) -> list[str]:
    """The components of `path`, the last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def inside(root: str, host_path: str) -> str:
    """The path in the root that `resolve` gave `host_path` for: absolute, `/` for the root itself."""
    return "/" + os.path.relpath(host_path, root).removeprefix(".").lstrip("/") if host_path != root else "/"


def open_in_root(root: int, path: str, flags: int) -> int:
    """Open what `path` names inside the directory `root`, a descriptor. Never creates. Raises OSError."""
    try:
        return syscalls.open_beneath(root, path or ".", flags, syscalls.RESOLVE_IN_ROOT)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    top = f"/proc/self/fd/{root}"
    follow = not flags & os.O_NOFOLLOW
    found = resolve(os.readlink(top), path, follow_last=follow)
    return os.open(found, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def read_file(root: str, path: str, *, limit: int) -> bytes | None:
    """The content of a regular file inside `root`, or None when there is none.

    Raises StepError when it is something else, cannot be read, or has more than `limit` bytes.
    """
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_in_root(directory, path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StepError(f"cannot read {path} in the image: {error.strerror}") from error
    finally:
        os.close(directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StepError(f"{path} in the image is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise StepError(f"{path} in the image exceeds {limit} bytes")
    return data


def make_directories(root: str, path: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> tuple[str, ...]:
    """Make `path` and its missing parents inside `root`; those that exist stay as they are.

    Returns the paths made (absolute inside the root), parents first. Raises StepError when something that is not a
    directory is in the way, UnfitError when the disk is full.
    """
    host = resolve(root, path)
    missing: list[str] = []
    while host != root and not os.path.isdir(host):
        if os.path.lexists(host):
            raise StepError(f"cannot make the directory {path}: {inside(root, host)} is not a directory")
        missing.append(host)
        host = os.path.dirname(host)
    for directory in reversed(missing):
        _make_directory(directory, mode, uid, gid)
    return tuple(inside(root, directory) for directory in reversed(missing))


def _make_directory(directory: str, mode: int, uid: int, gid: int) -> None:
    try:
        os.mkdir(directory, mode)
        if (uid, gid) != (os.geteuid(), os.getegid()):
            os.lchown(directory, uid, gid)
        os.chmod(directory, mode)
    except OSError as error:
        message = f"cannot make a directory in the image: {error.strerror}: {directory}"
        raise step_fault(error, message) from error
