"""Places to mount on, made for the time of a run and gone after it (BuildKit's mount stubs).

What was not there before must not be in the layer: neither /proc and its like, nor their parents, nor the times of
the directories they were made in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from executor.dataclass import dataclass
from executor.errors import UnfitError
from executor.removal import remove
from executor.rootfs.command.runmounts import MountKind, RunMount
from executor.rootfs.files.safepath import resolve

_DIRECTORIES: tuple[tuple[MountKind, str], ...] = (("proc", "/proc"), ("sys", "/sys"), ("dev", "/dev"))
_FILES = ("/etc/resolv.conf", "/etc/hosts")


@dataclass(frozen=True, slots=True)
class _Stub:
    """Something made here; the times (access, modification in ns) of its directory before and just after."""

    path: str
    before: tuple[int, int]
    after: tuple[int, int]


class Stubs:
    """Makes what is missing in a root and removes it again if nothing was put into it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._made: list[_Stub] = []

    def directory(self, path: str) -> str | None:
        """The host path of the directory `path`, made where missing; None when something else is there."""
        host = resolve(self._root, path)
        self._make_directories(host)
        return host if os.path.isdir(host) else None

    def file(self, path: str) -> str | None:
        """The host path of the file `path`, made empty where missing; None when something else is there."""
        host = resolve(self._root, path)
        self._make_directories(os.path.dirname(host))
        if not os.path.lexists(host) and os.path.isdir(os.path.dirname(host)):
            self.make(host, lambda: os.close(os.open(host, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)))
        return host if os.path.isfile(host) else None

    def make(self, host: str, action: Callable[[], object]) -> None:
        """Run `action`, which makes `host`, and remember that."""
        folder = os.path.dirname(host)
        before = directory_times(folder)
        action()
        self._made.append(_Stub(host, before, directory_times(folder)))

    def remove(self) -> None:
        """Remove what was made and is still empty, the last first."""
        for stub in reversed(self._made):
            with suppress(OSError):  # the command removed or filled it
                _remove_stub(stub)
        self._made.clear()

    def _make_directories(self, host: str) -> None:
        if host != self._root and not os.path.lexists(host):
            self._make_directories(os.path.dirname(host))
            if os.path.isdir(os.path.dirname(host)):
                self.make(host, lambda: os.mkdir(host, 0o755))


@contextmanager
def run_mounts(root: str) -> Iterator[list[RunMount]]:
    """The mounts of a run in `root`; their places exist within the context, and after it if they did before.

    Raises UnfitError when they cannot be made.
    """
    stubs = Stubs(root)
    try:
        yield _plan(stubs)
    finally:
        stubs.remove()


def _plan(stubs: Stubs) -> list[RunMount]:
    try:
        directories = [RunMount(kind, host) for kind, path in _DIRECTORIES if (host := stubs.directory(path))]
        readable = [path for path in _FILES if os.path.isfile(path)]
        files = [RunMount("file", host, path) for path in readable if (host := stubs.file(path))]
    except OSError as error:
        raise UnfitError(f"cannot prepare the root for a command: {error.strerror}") from error
    return directories + files


@contextmanager
def displaced(host: str, aside: str, fill: Callable[[], object]) -> Iterator[None]:
    """What `fill` makes at `host` takes the place of what is there, which lies at `aside` within the context."""
    folder = os.path.dirname(host)
    before = after = directory_times(folder)
    existed = os.path.lexists(host)
    if existed:
        os.rename(host, aside)
    try:
        fill()
        after = directory_times(folder)
        yield
    finally:
        if os.path.isdir(folder):  # else the command removed it
            now = directory_times(folder)
            remove(host)
            if existed:
                os.rename(aside, host)
            os.utime(folder, ns=before if now == after else now)


def directory_times(path: str) -> tuple[int, int]:
    """When a directory was accessed and modified, in nanoseconds, as os.utime takes them."""
    status = os.stat(path)
    return status.st_atime_ns, status.st_mtime_ns


def _remove_stub(stub: _Stub) -> None:
    folder = os.path.dirname(stub.path)
    now = directory_times(folder)
    if os.path.isdir(stub.path) and not os.path.islink(stub.path):
        os.rmdir(stub.path)
    elif os.lstat(stub.path).st_size == 0:
        os.unlink(stub.path)
    os.utime(folder, ns=stub.before if now == stub.after else now)
