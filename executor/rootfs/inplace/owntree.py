"""Looks at the container's own files: what lstat says of each.

It is done twice for each command. /busybox alone has some 270 links, so a link is not asked for again while its
directory is the very same one and was not changed: then it leads where it led. Its owner and times are nobody's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from typing import TypeAlias

Facts: TypeAlias = tuple[int, int, int, int, int]
"""Mode, uid, gid, size of a file, mtime in ns."""

_Version: TypeAlias = tuple[int, int, int]
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def facts_of(status: os.stat_result) -> Facts:
    """What counts of an lstat result."""
    mode = status.st_mode
    size = status.st_size if stat.S_ISREG(mode) else 0
    return mode, status.st_uid, status.st_gid, size, status.st_mtime_ns


class OwnTree:
    """What is below `live`. Paths are relative to that."""

    def __init__(self, live: str) -> None:
        self._live = live
        self._links: dict[str, tuple[_Version, Mapping[str, Facts]]] = {}

    def look(
        self, left_out: Collection[str], others: str | tuple[str, ...] = (), inodes: dict[str, int] | None = None
    ) -> dict[str, Facts]:
        """The facts by path, but for what is at or below the paths `left_out`.

        `inodes` gets the inode numbers of files whose path does not begin with any of `others`.
        """
        found: dict[str, Facts] = {}
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                descriptor = os.open(os.path.join(self._live, folder), _DIRECTORY)
            except OSError:  # deeper than a path can be: a command made it
                continue
            try:
                here = self._entries(descriptor, folder, left_out, others, inodes)
            finally:
                os.close(descriptor)
            found |= here
            waiting += [path for path, facts in here.items() if stat.S_ISDIR(facts[0])]
        return found

    def _entries(
        self,
        descriptor: int,
        folder: str,
        left_out: Collection[str],
        others: str | tuple[str, ...],
        inodes: dict[str, int] | None,
    ) -> dict[str, Facts]:
        version = _version(os.fstat(descriptor))
        known, links = self._links.get(folder, (None, {}))
        if known != version:
            links = {}
        prefix = f"{folder}/" if folder else ""
        found: dict[str, Facts] = {}
        with os.scandir(descriptor) as entries:  # of a descriptor: each lstat then looks up one name only
            for entry in entries:
                path = prefix + entry.name
                if path in left_out:
                    continue
                facts = links.get(path) if entry.is_symlink() else None
                found[path] = facts = facts or facts_of(entry.stat(follow_symlinks=False))
                if inodes is not None and not stat.S_ISDIR(facts[0]) and not path.startswith(others):
                    inodes[path] = entry.inode()
        if known != version:
            self._links[folder] = version, {path: facts for path, facts in found.items() if stat.S_ISLNK(facts[0])}
        return found


def _version(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns
