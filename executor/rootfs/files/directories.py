"""Directory descriptors below a root, opened once and kept while entries of them come.

Two ways to find a directory: `open_isolated` never passes a symbolic link and never makes anything;
`open_resolved` follows links as a process chrooted to the root would (containerd's rule for a layer on existing
content) and makes what is missing, 0755 and owned by root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from executor.dataclass import dataclass
from executor.rootfs.files import safepath
from executor.rootfs.kernel import syscalls

_KEPT = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


@dataclass(frozen=True, slots=True)
class Directory:
    """An open directory: its descriptor, its path without links ('' for the root), and whether it has setgid."""

    descriptor: int
    path: str
    inherits_group: bool

    def child(self, name: str) -> str:
        """The path of an entry of this directory."""
        return f"{self.path}/{name}" if self.path else name


OpenDirectory = Callable[["Directories", str], tuple[int, str]]


class Directories:
    """The open directories of one root. Close it when done.

    Set `stale` after removing a directory or a link: paths through it may lead elsewhere now. What `get` gave
    stays open until `trim`, which is to be called where nobody holds one.
    """

    def __init__(self, root: str, opener: OpenDirectory) -> None:
        self.root_path = os.path.realpath(root)
        self._opener = opener
        self._open: dict[str, Directory] = {}
        self.stale = False
        self.root = self._directory(os.open(root, _DIRECTORY & ~os.O_NOFOLLOW), "")

    def get(self, path: str) -> Directory:
        """The directory named `path` (an entry name). Raises OSError when the opener cannot give it."""
        found = self._open.get(path)
        if found is None:
            if not path:
                return self.root
            found = self._directory(*self._opener(self, path))
            self._open[path] = found
        return found

    def trim(self) -> None:
        """Close all but the root when they have become many, or stale."""
        if self.stale or len(self._open) >= _KEPT:
            self._forget()

    def _forget(self) -> None:
        self.stale = False
        for directory in self._open.values():
            os.close(directory.descriptor)
        self._open.clear()

    def close(self) -> None:
        """Close everything."""
        self._forget()
        os.close(self.root.descriptor)

    def _directory(self, descriptor: int, path: str) -> Directory:
        return Directory(descriptor, path, bool(os.fstat(descriptor).st_mode & stat.S_ISGID))


def open_isolated(directories: Directories, path: str) -> tuple[int, str]:
    """Open `path` without passing any link. Raises OSError (ENOENT, ELOOP, ENOTDIR) when it is no directory."""
    root = directories.root.descriptor
    try:
        return syscalls.open_beneath(root, path, _DIRECTORY, _BENEATH), path
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _descend(root, path, make=False), path


def open_resolved(directories: Directories, path: str) -> tuple[int, str]:
    """Open `path` inside the root, links followed, missing directories made."""
    try:
        return open_isolated(directories, path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            raise
    host = safepath.resolve(directories.root_path, path)
    plain = safepath.inside(directories.root_path, host).lstrip("/")
    return _descend(directories.root.descriptor, plain, make=True), plain


def _descend(root: int, path: str, *, make: bool) -> int:
    """Open one component after the other, none of them a link."""
    current = os.open(".", _DIRECTORY, dir_fd=root)
    for name in filter(None, path.split("/")):
        try:
            try:
                following = os.open(name, _DIRECTORY, dir_fd=current)
            except FileNotFoundError:
                if not make:
                    raise
                following = _make(name, current)
        finally:
            os.close(current)
        current = following
    return current


def _make(name: str, parent: int) -> int:
    os.mkdir(name, 0o755, dir_fd=parent)
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    os.fchmod(descriptor, 0o755)
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (0, 0) and os.geteuid() == 0:
        os.fchown(descriptor, 0, 0)
    return descriptor
