"""Looks at the container's own files: what lstat says of each.

It is done twice for each command, so nothing is asked twice that cannot be different. A directory that is the very
same one and was not changed has the names that it had, and its links lead where they led; of links, of which
/busybox has some 270, owner and times are nobody's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from executor.dataclass import dataclass
from executor.snapshot.index import is_past

Facts: TypeAlias = tuple[int, int, int, int, int]
"""Mode, uid, gid, size of a file, mtime in ns."""

_Version: TypeAlias = tuple[int, int, int]


def facts_of(status: os.stat_result) -> Facts:
    """What counts of an lstat result."""
    mode = status.st_mode
    size = status.st_size if stat.S_ISREG(mode) else 0
    return mode, status.st_uid, status.st_gid, size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a directory had when it was read: its links, and the paths of all else."""

    version: _Version
    links: Mapping[str, Facts]
    paths: Sequence[str]


class OwnTree:
    """What is below `live`. Paths are relative to that."""

    def __init__(self, live: str) -> None:
        self._live = live
        self._top = live.rstrip("/") + "/"
        self._listings: dict[str, _Listing] = {}

    def look(self, left_out: Collection[str], inodes: dict[str, int] | None = None) -> dict[str, Facts]:
        """The facts by path, but for what is at or below the paths `left_out`.

        `inodes` gets the inode numbers of files.
        """
        found: dict[str, Facts] = {}
        waiting = [("", os.lstat(self._live))]
        while waiting:
            folder, status = waiting.pop()
            prefix = f"{folder}/" if folder else ""
            listing = self._listing(folder, prefix, status)
            found |= {path: facts for path, facts in listing.links.items() if path not in left_out}
            for path in listing.paths:
                if path in left_out:
                    continue
                try:
                    status = os.lstat(self._top + path)
                except FileNotFoundError:  # somebody else's
                    continue
                found[path] = facts_of(status)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((path, status))
                elif inodes is not None:
                    inodes[path] = status.st_ino
        return found

    def _listing(self, folder: str, prefix: str, status: os.stat_result) -> _Listing:
        version = status.st_ino, status.st_mtime_ns, status.st_ctime_ns
        known = self._listings.get(folder)
        if known and known.version == version:
            return known
        links: dict[str, Facts] = {}
        paths: list[str] = []
        try:
            with os.scandir(self._top + folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        links[prefix + entry.name] = facts_of(entry.stat(follow_symlinks=False))
                    else:
                        paths.append(prefix + entry.name)
        except OSError:  # deeper than a path can be: a command made it
            return _Listing(version, {}, ())
        listing = _Listing(version, links, paths)
        if is_past(status.st_ctime_ns):  # else what is changed within this tick of the clock would not show
            self._listings[folder] = listing
        return listing
