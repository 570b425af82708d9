"""The unpacked layers of a store that lies where a command can reach it: what it changed must not be used again.

`RUN find / -xdev -perm /6000 -exec chmod a-s {} +` means its own image and finds the others too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator


class Bystanders:
    """The directories in `folder`, whose content never changes. `note` comes before `discard_changed`.

    One that has a file called `record` is compared with that before it is used: there only the file matters.
    """

    def __init__(self, folder: str, record: str) -> None:
        self._folder = folder
        self._record = record
        self._inodes: dict[str, int] = {}

    def note(self) -> None:
        """Remember which there are."""
        self._inodes = dict(self._directories())

    def discard_changed(self, since: int, scratch: Callable[[str], str]) -> tuple[str, ...]:
        """Remove those changed after the time `since` (ns), in a directory that `scratch` makes; their names.

        Those that are not the same as when they were noted are somebody else's and left alone.
        """
        changed = tuple(
            name
            for name, inode in self._directories()
            if self._inodes.get(name) == inode and self._is_changed(os.path.join(self._folder, name), since)
        )
        for name in changed:
            folder = scratch("changed")
            os.rename(os.path.join(self._folder, name), os.path.join(folder, name))
            shutil.rmtree(folder, ignore_errors=True)
        return changed

    def _is_changed(self, folder: str, since: int) -> bool:
        try:
            return os.lstat(os.path.join(folder, self._record)).st_ctime_ns > since
        except FileNotFoundError:
            return _is_changed(folder, since)

    def _directories(self) -> Iterator[tuple[str, int]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, entry.inode()


def _is_changed(folder: str, since: int) -> bool:
    """Whether anything below `folder` was changed after `since`. Somebody may be removing it meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.stat(follow_symlinks=False).st_ctime_ns > since
                or (entry.is_dir(follow_symlinks=False) and _is_changed(entry.path, since))
                for entry in entries
            )
    except FileNotFoundError:
        return False
