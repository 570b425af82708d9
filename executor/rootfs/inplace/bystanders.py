"""What a command in place can reach beside its own image: unpacked layers of the store, roots of other stages.

`RUN find / -xdev -perm /6000 -exec chmod a-s {} +` means its own image and finds the others too. What it changed
of layers must not be used again; what it changed of another stage cannot be made again, and ends the build.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from executor.removal import remove_tree
from executor.replacing import replacing


class Bystanders:
    """The directories in some folders, whose content does not change while a command runs.

    FOLDER/others.json says which unpacked layers there are, for the process that has to look after a SIGKILL. One
    that has a file called `record` is compared with that before it is used: there only the file matters.
    """

    def __init__(self, folder: str, record: str) -> None:
        self._path = os.path.join(folder, "others.json")
        self._record = record
        self._folders: Collection[str] = ()
        self._inodes: Mapping[str, int] | None = None
        self._stages: Collection[str] = ()
        self._since = 0

    def note(self, folders: Collection[str], stages: Collection[str] = ()) -> None:
        """Remember the directories in the `folders` of unpacked layers, and the directories `stages`."""
        self._folders, self._inodes, self._stages = folders, dict(_directories(folders)), stages
        with replacing(self._path) as file:
            file.write(json.dumps({"folders": list(folders), "inodes": self._inodes}).encode())
        self._since = os.stat(self._path).st_ctime_ns

    def changed_stage(self) -> str:
        """The first of the directories `stages` in which something was changed since, '' when there is none."""
        changed = (path for path in self._stages if _ctime(path) > self._since or _is_changed(path, self._since))
        return next(changed, "")

    def discard_changed(self) -> tuple[str, ...]:
        """Remove the layers that were changed since; their paths. After this all is forgotten.

        Those that are not the same as when they were noted are somebody else's and left alone.
        """
        if self._inodes is None and not self._read():
            return ()
        known = self._inodes or {}
        changed = tuple(
            path
            for path, inode in _directories(self._folders)
            if known.get(path) == inode and self._is_spoiled(path)
        )
        for path in changed:
            os.rename(path, f"{path}.changed")  # nobody may find it half removed
            remove_tree(f"{path}.changed")
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        self._inodes = None
        return changed

    def _is_spoiled(self, folder: str) -> bool:
        try:
            return os.lstat(os.path.join(folder, self._record)).st_ctime_ns > self._since
        except FileNotFoundError:
            return _is_changed(folder, self._since)

    def _read(self) -> bool:
        try:
            with open(self._path, encoding="utf-8") as file:
                noted = json.load(file)
            self._since = os.stat(self._path).st_ctime_ns
        except FileNotFoundError:
            return False
        self._folders, self._inodes = noted["folders"], noted["inodes"]
        return True


def _directories(folders: Collection[str]) -> Iterator[tuple[str, int]]:
    """Path and inode number of each."""
    for folder in folders:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.path, entry.inode()


def _ctime(path: str) -> float:
    """When it was changed; of one that is gone: at any time."""
    try:
        return os.lstat(path).st_ctime_ns
    except FileNotFoundError:
        return float("inf")


def _is_changed(folder: str, since: int) -> bool:
    """Whether anything below `folder` was changed after `since` (ns). Somebody may be removing it meanwhile."""
    waiting = [folder]
    while waiting:
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_ctime_ns > since:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return False
