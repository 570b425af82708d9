"""The state of a tree at one time: every path with what lstat says of it.

About 3.5 microseconds a path: one scandir and one lstat, values in a tuple. ctime changes with every change of an
inode and cannot be set, so it closes the holes that comparing mtimes leaves.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from executor.snapshot.entries import xattrs_of
from executor.snapshot.ignore import IgnoredPaths

_LONGEST_TICK_NS = 20_000_000  # the coarsest step of the clock that file systems take their times from
_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE of clock_gettime(2), that very clock
_PAUSE = 0.0005
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPE = 0o170000


class Facts(NamedTuple):
    """What is compared first. Times are nanoseconds."""

    ctime: int
    mtime: int
    size: int
    mode: int
    uid: int
    gid: int
    inode: int


Index: TypeAlias = Mapping[str, Facts]
"""Facts by entry name; the root itself is ''."""


def facts_of(status: os.stat_result) -> Facts:
    """The facts in an lstat result."""
    return Facts(
        status.st_ctime_ns,
        status.st_mtime_ns,
        status.st_size,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_ino,
    )


def take_index(root: str, ignore: IgnoredPaths, before: Index | None = None) -> Index:
    """The facts of everything in `root` but for what is ignored. What is as in `before` shares its memory.

    When something changed within the last tick of the file system's clock, waits for the next one: a later change
    in the same tick would leave the same times.
    """
    ignoring, new, known = bool(ignore), tuple.__new__, before or {}
    top = facts_of(os.lstat(root))
    index = {"": old if (old := known.get("")) == top else top}
    waiting = [""]
    while waiting:
        here = waiting.pop()
        prefix = f"{here}/" if here else ""
        folder = os.open(os.path.join(root, here) if here else root, _DIRECTORY)
        try:
            with os.scandir(folder) as entries:  # of a descriptor: each lstat then looks up one name only
                for entry in entries:
                    name = prefix + entry.name
                    if ignoring and name in ignore:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    mode = status.st_mode
                    facts = new(
                        Facts,
                        (
                            status.st_ctime_ns,
                            status.st_mtime_ns,
                            status.st_size,
                            mode,
                            status.st_uid,
                            status.st_gid,
                            status.st_ino,
                        ),
                    )
                    index[name] = old if (old := known.get(name)) == facts else facts
                    if mode & _TYPE == stat.S_IFDIR:
                        waiting.append(name)
        finally:
            os.close(folder)
    await_next_tick(max(facts[0] for facts in index.values()))
    return index


def await_next_tick(moment_ns: int) -> None:
    """Return when what changes from now on gets a later time than `moment_ns`."""
    while not is_past(moment_ns):
        time.sleep(_PAUSE)


def is_past(moment_ns: int) -> bool:
    """Whether what changes from now on gets a later time than `moment_ns`."""
    return not 0 <= moment_ns - time.clock_gettime_ns(_COARSE_CLOCK) <= _LONGEST_TICK_NS


def attributes_of(root: str, index: Index) -> Mapping[str, Mapping[str, bytes]]:
    """The extended attributes of those directories of the tree at `root` that have any, by name."""
    folders = (name for name, facts in index.items() if stat.S_ISDIR(facts.mode))
    found = ((name, xattrs_of(os.path.join(root, name))) for name in folders)
    return {name: attributes for name, attributes in found if attributes}
