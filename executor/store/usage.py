"""Who uses what of a store: a time of last use on each thing, and a lock that keeps marking and removing apart.

A thing is removed only when it was last used before the oldest running process began (see prune.py), so what a
process has marked once stays as long as that process runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from executor.store.locks import locked

_LOCK = "removal.lock"


class Usage:
    """The uses of one store; `locks` is its folder of lock files."""

    def __init__(self, locks: str) -> None:
        self._lock = os.path.join(locks, _LOCK)

    def mark(self, path: str) -> bool:
        """Note that the file or directory `path` is used now; False when it is not there."""
        with locked(self._lock, fcntl.LOCK_SH):
            try:
                os.utime(path)
            except FileNotFoundError:
                return False
            except OSError:  # somebody else's, or a file system that is read-only: nobody here removes it
                return os.path.exists(path)
            return True

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Within the context nobody marks anything."""
        with locked(self._lock, fcntl.LOCK_EX):
            yield
