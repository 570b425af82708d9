"""The digest of a file or a tree as a copy would see it: everything but times.

One line of JSON for each entry, in bytewise order of names below each directory; the digest is the lines' SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from executor.dataclass import dataclass, field
from executor.rootfs.files.copytree import Choice
from executor.snapshot.entries import xattrs_of

_JSON = json.JSONEncoder(separators=(",", ":"))
_NAME = operator.attrgetter("name")
_SMALL = 64 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
Choose = Callable[[str, bool], Choice]
ModeChange = Callable[[int], int]


def content_digest(
    top: str, *, choose: Choose | None = None, mode: ModeChange | None = None, owners: bool = False
) -> str:
    """The SHA-256, in hex, of what a copy of `top` would bring along; `top` itself is not followed.

    `choose` and `mode` are those of `CopyRules`. Of a directory, only what is in it counts, because its own mode
    and owner do not survive the copy. Without `owners` they are the instruction's to say. Raises OSError.
    """
    walk = _Walk(choose, mode, owners)
    digest = hashlib.sha256()
    status = os.lstat(top)
    lines = walk.below(top) if stat.S_ISDIR(status.st_mode) else iter([walk.line(top, "", status)])
    for line in lines:
        digest.update(line)
    return digest.hexdigest()


@dataclass(slots=True)
class _Open:
    """A directory being read; `owed` is its own line while nothing in it was taken and only that would take it."""

    entries: Iterator[os.DirEntry[str]]
    path: str = ""
    owed: bytes = b""


@dataclass(slots=True)
class _Walk:
    choose: Choose | None
    mode: ModeChange | None
    owners: bool
    links: dict[tuple[int, int], str] = field(default_factory=dict)

    def below(self, top: str) -> Iterator[bytes]:
        """The lines of everything below the directory `top`, from a list, so that depth costs no stack."""
        open_directories = [_Open(_sorted_entries(top))]
        owing = False
        while open_directories:
            here = open_directories[-1]
            entry = next(here.entries, None)
            if entry is None:
                open_directories.pop()
                continue
            path = f"{here.path}{entry.name}"
            is_directory = entry.is_dir(follow_symlinks=False)
            choice = self.choose(path, is_directory) if self.choose else Choice.TAKE
            if choice is Choice.SKIP:
                continue
            line = self._line_of(entry, path)
            if not line:
                continue
            if choice is Choice.TAKE:
                if owing:
                    yield from _owed(open_directories)
                    owing = False
                yield line
                line = b""
            if is_directory:
                owing = owing or bool(line)
                open_directories.append(_Open(_sorted_entries(entry.path), f"{path}/", line))

    def _line_of(self, entry: os.DirEntry[str], path: str) -> bytes:
        """The line of `entry`; b'' for a socket, which no image can have."""
        if entry.is_file(follow_symlinks=False):
            return self._line_of_file(entry.path, path)
        status = entry.stat(follow_symlinks=False)
        return b"" if stat.S_ISSOCK(status.st_mode) else self.line(entry.path, path, status)

    def line(self, host: str, path: str, status: os.stat_result) -> bytes:
        """The line of what is at `host` with the lstat result `status`."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return self._line_of_file(host, path)
        fact: list[Any] = []
        if kind == stat.S_IFLNK:
            fact.append(os.readlink(host))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            fact.append(status.st_rdev)
        mode = 0 if kind == stat.S_IFLNK else self._mode_of(status)
        return self._written(path, kind, mode, xattrs_of(host), status, fact)

    def _line_of_file(self, host: str, path: str) -> bytes:
        """By its descriptor, so that its path is looked up once: contexts are thousands of small files."""
        descriptor = os.open(host, _READ)
        try:
            status = os.fstat(descriptor)
            fact = self._content(descriptor, path, status)
            return self._written(path, stat.S_IFREG, self._mode_of(status), xattrs_of(descriptor), status, [fact])
        finally:
            os.close(descriptor)

    def _mode_of(self, status: os.stat_result) -> int:
        return self.mode(status.st_mode) if self.mode else stat.S_IMODE(status.st_mode)

    def _written(
        self, path: str, kind: int, mode: int, xattrs: Mapping[str, bytes], status: os.stat_result, fact: list[Any]
    ) -> bytes:
        """The facts as one line of JSON, put together from parts: a list costs its encoder more than all else."""
        shown = _JSON.encode({name: value.hex() for name, value in xattrs.items()}) if xattrs else "{}"
        owner = f",[{status.st_uid},{status.st_gid}]" if self.owners else ""
        last = f",{_JSON.encode(fact[0])}" if fact else ""
        return f"[{_JSON.encode(path)},{kind},{mode},{shown}{owner}{last}]\n".encode()

    def _content(self, descriptor: int, path: str, status: os.stat_result) -> str:
        """The content's digest; of a further name of the same file, the name that came first."""
        if status.st_nlink > 1:
            first = self.links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                return f"={first}"
        if status.st_size < _SMALL:  # without the large buffer that `file_digest` makes each time
            data = os.read(descriptor, _SMALL)
            if len(data) == status.st_size:
                return hashlib.sha256(data).hexdigest()
            os.lseek(descriptor, 0, os.SEEK_SET)  # it grows, or is one of /proc, which tells no size
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _sorted_entries(directory: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=_NAME)
    if not all(map(str.isascii, map(_NAME, found))):
        found.sort(key=lambda entry: os.fsencode(entry.name))
    return iter(found)


def _owed(directories: list[_Open]) -> Iterator[bytes]:
    for directory in directories:
        if directory.owed:
            yield directory.owed
            directory.owed = b""
