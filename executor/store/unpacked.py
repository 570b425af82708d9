"""Unpacked layers: directories by key, each made once whoever needs it first."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager

from executor.removal import remove_tree
from executor.store.locks import locked
from executor.store.seals import begin_seal, is_of_this_boot, is_whole, remove_seal
from executor.store.usage import Usage

TREE = "fs"
"""The tree in each directory; what lies beside it is the driver's affair."""
_TREE_MODE = 0o755  # until a layer says otherwise, whatever the umask is


def new_tree(directory: str) -> str:
    """Make the empty tree `fs` in `directory`, mode 0755, and return its path."""
    tree = os.path.join(directory, TREE)
    os.mkdir(tree)
    os.chmod(tree, _TREE_MODE)
    return tree


class UnpackedLayers:
    """Directories `<root>/<key>`, which never change once they are here."""

    def __init__(self, root: str, locks: str, session: str, usage: Usage) -> None:
        self._root = root
        self._locks = locks
        self._session = session
        self._usage = usage
        self._whole: set[str] = set()

    def get(self, key: str) -> str | None:
        """The directory of `key`, which stays as long as this process runs; None when it was not made yet.

        One that proves damaged is removed: see seals.py.
        """
        path = self._marked(key)
        if path is None or self._is_whole(key, path):
            return path
        with self._locked(key):
            return self._sound(key)

    def add(self, key: str, fill: Callable[[str], None]) -> str:
        """The directory of `key`, made by `fill` when it is not there.

        `fill` gets a new empty directory; when it raises, nothing remains. Two threads or processes that ask for
        one key at the same time make it once: the second waits for the first.
        """
        found = self.get(key)
        if found:
            return found
        with self._locked(key):
            found = self._sound(key)
            if found:
                return found
            directory = tempfile.mkdtemp(prefix="unpack-", dir=self._session)
            try:
                fill(directory)
                return self._publish(key, directory)
            except BaseException:
                remove_tree(directory)
                raise

    def adopt(self, key: str, directory: str) -> str:
        """Move a directory of this store's file system in as `key`, unless that is here: then discard it."""
        with self._locked(key):
            found = self._sound(key)
            if found:
                remove_tree(directory)
                return found
            return self._publish(key, directory)

    def take(self, key: str) -> str | None:
        """Move the directory of `key` out of the store, to be changed and perhaps given back by `adopt`.

        It is not looked through; one that an earlier run of the machine has left is of no use.
        """
        with self._locked(key):
            found = self._marked(key)
            if found is None or not is_of_this_boot(found):
                return None
            directory = tempfile.mkdtemp(prefix="taken-", dir=self._session)
            os.rename(found, directory)
            remove_seal(found)
            self._whole.discard(key)
            return directory

    def _marked(self, key: str) -> str | None:
        path = os.path.join(self._root, key)
        return path if self._usage.mark(path) else None

    def _sound(self, key: str) -> str | None:
        """The directory of `key`, whose lock is held; one that is damaged goes."""
        path = self._marked(key)
        if path is None or self._is_whole(key, path):
            return path
        gone = tempfile.mkdtemp(prefix="damaged-", dir=self._session)
        os.rename(path, gone)
        remove_tree(gone)
        return None

    def _is_whole(self, key: str, path: str) -> bool:
        if key not in self._whole and is_whole(path):
            self._whole.add(key)
        return key in self._whole

    def _publish(self, key: str, directory: str) -> str:
        path = os.path.join(self._root, key)
        begin_seal(path)
        os.rename(directory, path)
        self._whole.add(key)
        return path

    def _locked(self, key: str) -> AbstractContextManager[None]:
        return locked(os.path.join(self._locks, f"{key}.lock"), fcntl.LOCK_EX)
