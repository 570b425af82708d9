"""The directories behind `RUN --mount=type=cache`: by key, kept across builds and sessions, locked by flock(2).

    HOME/caches/<key>/<n>           what the commands of all builds see and change; n is 0 but for private ones
    HOME/locks/cache-<key>-<n>.lock held while a command uses it: together (shared) or alone (private, locked)

A lock ends with its process. Nothing of a cache is ever in a layer or in a cache key.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from executor.removal import remove_tree
from executor.store.locks import locked

_MODE = 0o755

Sharing = Literal["shared", "private", "locked"]


class CacheMounts:
    """The caches of a store. `locks` is the folder of lock files, `session` a scratch folder on the same disk."""

    def __init__(self, root: str, locks: str, session: str) -> None:
        self._root = root
        self._locks = locks
        self._session = session

    @contextmanager
    def use(self, key: str, sharing: Sharing, fill: Callable[[str], None]) -> Iterator[str]:
        """The directory of the cache `key` (a file name), within the context, with what earlier commands left.

        `shared` is used together with other shared ones, `locked` waits until nobody else uses it, `private` and
        a shared one beside a locked one take another directory of the key instead of waiting. A new directory is
        made by `fill`, which gets it empty.
        """
        with ExitStack() as stack:
            number = self._lock(stack, key, sharing)
            os.utime(self._lock_file(f"{key}-{number}"))  # when it was last used: see prune.py
            yield self._directory(key, number, fill)

    def _lock(self, stack: ExitStack, key: str, sharing: Sharing) -> int:
        """The number of a directory of `key` that is locked until `stack` is closed."""
        if sharing == "locked":
            stack.enter_context(locked(self._lock_file(f"{key}-0"), fcntl.LOCK_EX))
            return 0
        mode = fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX
        for number in itertools.count():
            try:
                stack.enter_context(locked(self._lock_file(f"{key}-{number}"), mode | fcntl.LOCK_NB))
            except BlockingIOError:
                continue
            return number
        raise AssertionError  # the count never ends

    def _directory(self, key: str, number: int, fill: Callable[[str], None]) -> str:
        path = os.path.join(self._root, key, str(number))
        with locked(self._lock_file(f"{key}-making"), fcntl.LOCK_EX):
            if not os.path.isdir(path):
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                made = tempfile.mkdtemp(prefix="cache-", dir=self._session)
                os.chmod(made, _MODE)
                try:
                    fill(made)
                    os.rename(made, path)
                except BaseException:
                    remove_tree(made)
                    raise
        return path

    def _lock_file(self, name: str) -> str:
        return os.path.join(self._locks, f"cache-{name}.lock")
