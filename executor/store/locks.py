"""Locks by flock(2) on files, which end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def locked(path: str, mode: int) -> Iterator[None]:
    """Hold the lock file `path` in `mode` (LOCK_SH or LOCK_EX; with LOCK_NB it raises BlockingIOError).

    The file may be removed by whoever holds it alone: who waited for it then begins anew with the next one.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, mode)
            if _is_still(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
