"""The state of a tree at one time: every path with what lstat says of it.

About 4.3 microseconds a path: one scandir and one lstat, values in a tuple. ctime changes with every change of an
inode and cannot be set, so it closes the holes that comparing mtimes leaves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from executor.snapshot.ignore import IgnoredPaths

_CLOCK_TICK_NS = 20_000_000  # the coarsest step of the clock that file systems take their times from


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


def take_index(root: str, ignore: IgnoredPaths) -> Index:
    """The facts of everything in `root` but for what is ignored.

    When something changed within the last tick of the file system's clock, waits for the next one: a later change
    in the same tick would leave the same times.
    """
    index: dict[str, Facts] = {"": facts_of(os.lstat(root))}
    newest = index[""].ctime
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if name in ignore:
                    continue
                facts = index[name] = facts_of(entry.stat(follow_symlinks=False))
                newest = max(newest, facts.ctime)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, name + "/"))
    await_next_tick(newest)
    return index


def await_next_tick(moment_ns: int) -> None:
    """Return when what changes from now on gets a later time than `moment_ns`."""
    left = moment_ns + _CLOCK_TICK_NS - time.time_ns()
    if 0 < left <= _CLOCK_TICK_NS:
        time.sleep(left / 1e9)
