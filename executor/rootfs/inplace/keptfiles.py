"""Copies of files in one large file, made once: what a container of our image runs on, should a command spoil it.

    FOLDER/own.data     the contents, one after the other
    FOLDER/own.files    where each is in there, and where links lead; written last

A file for each would be found by the very command that changes all files of a kind. While a command runs both are
held, open and in memory: it may remove FOLDER.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from executor.replacing import replacing

Place: TypeAlias = tuple[int, int, int] | str
"""Where a file's content begins, its size, and its time of modification in ns; or the target of a link."""


class KeptFiles:
    """The copies in `folder` of files below `live`; paths are relative to that."""

    def __init__(self, folder: str, live: str) -> None:
        self._folder = folder
        self._data = os.path.join(folder, "own.data")
        self._list = os.path.join(folder, "own.files")
        self._live = live
        self._held = -1
        self._places: Mapping[str, Place] = {}
        self._listed: tuple[tuple[int, ...], Mapping[str, Place]] = (), {}

    @property
    def descriptors(self) -> frozenset[int]:
        """What is held open."""
        return frozenset({self._held} - {-1})

    def made(self) -> int:
        """When they were made, in ns; 0 when they were not."""
        with suppress(FileNotFoundError):
            return os.stat(self._list).st_mtime_ns
        return 0

    def forget(self) -> None:
        """They are of no more use."""
        for path in (self._list, self._data):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def hold(self) -> None:
        """Hold what there is, whatever becomes of the files."""
        self.release()
        with suppress(OSError, ValueError):
            self._places = self._read_list()
            self._held = os.open(self._data, os.O_RDONLY | os.O_CLOEXEC)

    def _read_list(self) -> Mapping[str, Place]:
        """Each command asks; it is read again when it is another one."""
        status = os.stat(self._list)
        version = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if self._listed[0] != version:
            self._listed = version, json.loads(Path(self._list).read_bytes())
        return self._listed[1]

    def release(self) -> None:
        """Let go of them; those that were changed since they were made are forgotten."""
        if self._held >= 0:
            os.close(self._held)
        self._held, self._places = -1, {}
        with suppress(FileNotFoundError):
            if os.stat(self._data).st_mtime_ns > self.made():
                self.forget()

    def exist(self) -> bool:
        """Whether they were made."""
        return os.path.exists(self._list)

    def make(self, paths: Iterable[str]) -> None:
        """Copy the files and links among `paths`, unless another process is faster. Raises OSError.

        Each name of a file has its content. What somebody who was killed has left half done is begun anew.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        partial = f"{self._data}.partial"
        data = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(data, fcntl.LOCK_EX)
            if self.exist():
                return
            os.ftruncate(data, 0)
            places = dict(self._copied(paths, data))
            os.rename(partial, self._data)
            with replacing(self._list) as file:
                file.write(json.dumps(places).encode())
        finally:
            os.close(data)

    def _copied(self, paths: Iterable[str], data: int) -> Iterator[tuple[str, Place]]:
        end = 0
        for path in paths:
            source = os.path.join(self._live, path)
            mode = os.lstat(source).st_mode
            if stat.S_ISLNK(mode):
                yield path, os.readlink(source)
            elif stat.S_ISREG(mode):
                size, modified = _append(source, data)
                yield path, (end, size, modified)
                end += size

    def places(self) -> Mapping[str, Place]:
        """What is held: a link's target, a file's place."""
        return self._places

    def restore(self, place: Place, goal: str) -> None:
        """Make the file or link `goal`, which is not there. Raises OSError."""
        if isinstance(place, str):
            os.symlink(place, goal)
            return
        start, size, _ = place
        with open(goal, "xb") as file:
            _send(self._held, file.fileno(), start, size)


def _append(path: str, target: int) -> tuple[int, int]:
    """Write the file's content to `target`; its size, and its time of modification."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        _send(descriptor, target, 0, status.st_size)
    finally:
        os.close(descriptor)
    return status.st_size, status.st_mtime_ns


def _send(source: int, target: int, start: int, size: int) -> None:
    end = start + size
    while start < end:
        count = os.sendfile(target, source, start, end - start)
        if not count:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        start += count
