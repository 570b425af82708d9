"""The digest of a file or a tree as a copy would see it: everything but times.

One line of JSON for each entry, in bytewise order of names below each directory; the digest is the lines' SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from executor.dataclass import dataclass, field
from executor.rootfs.files.copytree import Choice
from executor.snapshot.entries import xattrs_of

_JSON = json.JSONEncoder(separators=(",", ":"))
_SMALL = 64 * 1024
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
        while open_directories:
            here = open_directories[-1]
            entry = next(here.entries, None)
            if entry is None:
                open_directories.pop()
                continue
            path = f"{here.path}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            is_directory = stat.S_ISDIR(status.st_mode)
            choice = self.choose(path, is_directory) if self.choose else Choice.TAKE
            if choice is Choice.SKIP or stat.S_ISSOCK(status.st_mode):
                continue
            line = self.line(entry.path, path, status)
            if choice is Choice.TAKE:
                yield from _owed(open_directories)
                yield line
                line = b""
            if is_directory:
                open_directories.append(_Open(_sorted_entries(entry.path), f"{path}/", line))

    def line(self, host: str, path: str, status: os.stat_result) -> bytes:
        kind = stat.S_IFMT(status.st_mode)
        mode = self.mode(status.st_mode) if self.mode else stat.S_IMODE(status.st_mode)
        facts: list[Any] = [path, kind, 0 if kind == stat.S_IFLNK else mode]
        facts.append({name: value.hex() for name, value in xattrs_of(host).items()})
        if self.owners:
            facts.append([status.st_uid, status.st_gid])
        if kind == stat.S_IFREG:
            facts.append(self._content(host, path, status))
        elif kind == stat.S_IFLNK:
            facts.append(os.readlink(host))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            facts.append(status.st_rdev)
        return _JSON.encode(facts).encode() + b"\n"

    def _content(self, host: str, path: str, status: os.stat_result) -> str:
        """The content's digest; of a further name of the same file, the name that came first."""
        if status.st_nlink > 1:
            first = self.links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                return f"={first}"
        if status.st_size <= _SMALL:
            return _digest_of_small(host)
        with open(host, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_small(host: str) -> str:
    """Without the large buffer that `file_digest` makes each time: contexts are thousands of small files."""
    descriptor = os.open(host, os.O_RDONLY | os.O_CLOEXEC)
    try:
        digest = hashlib.sha256()
        while data := os.read(descriptor, _SMALL):
            digest.update(data)
        return digest.hexdigest()
    finally:
        os.close(descriptor)


def _sorted_entries(directory: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return iter(sorted(entries, key=lambda entry: os.fsencode(entry.name)))


def _owed(directories: list[_Open]) -> Iterator[bytes]:
    for directory in directories:
        if directory.owed:
            yield directory.owed
            directory.owed = b""
