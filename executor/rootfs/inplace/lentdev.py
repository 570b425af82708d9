"""The container's own /dev, which a command in place uses, and how it is put right afterwards.

What is new there, as in /dev/shm, is removed; what is gone is made again; modes and owners are brought back.
A file says how it was, for the process that has to do it after a SIGKILL.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeAlias

from executor.errors import UnfitError
from executor.removal import remove
from executor.replacing import replacing

_FOLDERS = ("", "shm", "mqueue")
_Node: TypeAlias = tuple[int, int, int, int, str]  # mode, uid, gid, device, target of a link


class LentDev:
    """A directory of devices; FOLDER/dev.json says how it was. Lend it and take it back."""

    def __init__(self, folder: str, dev: str = "/dev") -> None:
        self._record = os.path.join(folder, "dev.json")
        self._dev = dev
        self._lent: dict[str, _Node] | None = None

    def lend(self) -> None:
        """Write down how it is now, and remember it: a command may remove the record."""
        self._lent = dict(self._nodes())
        with replacing(self._record) as file:
            file.write(json.dumps(self._lent).encode())

    def take_back(self) -> None:
        """Make it what it was when it was lent. Raises UnfitError naming what that is not possible for."""
        before = self._lent or self._recorded()
        if before is None:
            return
        try:
            self._remove_what_is_new(before)
            now = dict(self._nodes())
            for path, node in before.items():
                if now.get(path) != node:
                    self._restore(os.path.join(self._dev, path), node)
        except OSError as error:
            raise UnfitError(
                f"/dev could not be brought back as it was: {error.strerror}: {error.filename}",
                hint="start a new container",
            ) from error
        self._lent = None
        with suppress(FileNotFoundError):
            os.unlink(self._record)

    def _recorded(self) -> dict[str, _Node] | None:
        try:
            with open(self._record, encoding="utf-8") as file:
                return {path: tuple(node) for path, node in json.load(file).items()}
        except FileNotFoundError:
            return None

    def _nodes(self) -> Iterator[tuple[str, _Node]]:
        """Names are relative to the directory; what is no longer there when it is looked at is left out."""
        for folder in _FOLDERS:
            here = os.path.join(self._dev, folder)
            for name in os.listdir(here) if os.path.isdir(here) else ():
                path = os.path.join(here, name)
                try:
                    status = os.lstat(path)
                    target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
                except FileNotFoundError:
                    continue
                node = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, target)
                yield os.path.join(folder, name), node

    def _remove_what_is_new(self, before: dict[str, _Node]) -> None:
        for path, node in list(self._nodes()):
            if path not in before or stat.S_IFMT(node[0]) != stat.S_IFMT(before[path][0]):
                remove(os.path.join(self._dev, path))

    def _restore(self, path: str, node: _Node) -> None:
        mode, uid, gid, device, target = node
        if stat.S_ISLNK(mode):
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink(target, path)
            return
        if not os.path.lexists(path):
            os.mkdir(path) if stat.S_ISDIR(mode) else os.mknod(path, mode, device)
        os.chown(path, uid, gid)
        os.chmod(path, stat.S_IMODE(mode))
