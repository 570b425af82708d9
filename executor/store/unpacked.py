"""Unpacked layers: directories by key, each made once whoever needs it first."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UnpackedLayers:
    """Directories `<root>/<key>`. What lies in one is the driver's affair; it never changes once it is here."""

    def __init__(self, root: str, locks: str, session: str) -> None:
        self._root = root
        self._locks = locks
        self._session = session

    def get(self, key: str) -> str | None:
        """The directory of `key`, or None when it was not made yet."""
        path = os.path.join(self._root, key)
        return path if os.path.isdir(path) else None

    def add(self, key: str, fill: Callable[[str], None]) -> str:
        """The directory of `key`, made by `fill` when it is not there.

        `fill` gets a new empty directory; when it raises, nothing remains. Two threads or processes that ask for
        one key at the same time make it once: the second waits for the first.
        """
        found = self.get(key)
        if found:
            return found
        with self._locked(key):
            found = self.get(key)
            if found:
                return found
            directory = tempfile.mkdtemp(prefix="unpack-", dir=self._session)
            try:
                fill(directory)
                return self._publish(key, directory)
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise

    def adopt(self, key: str, directory: str) -> str:
        """Move a directory of this store's file system in as `key`, unless that is here: then discard it."""
        with self._locked(key):
            found = self.get(key)
            if found:
                shutil.rmtree(directory, ignore_errors=True)
                return found
            return self._publish(key, directory)

    def _publish(self, key: str, directory: str) -> str:
        path = os.path.join(self._root, key)
        os.rename(directory, path)
        return path

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        descriptor = os.open(
            os.path.join(self._locks, f"{key}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
