"""Locks by flock(2) on files, which end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from executor import hangup

_AGAIN_SECONDS = 0.05


@contextmanager
def locked(path: str, mode: int) -> Iterator[None]:
    """Hold the lock file `path` in `mode` (LOCK_SH or LOCK_EX; with LOCK_NB it raises BlockingIOError).

    The file may be removed by whoever holds it alone: who waited for it then begins anew with the next one. Raises
    StoppedError instead of waiting on once this process is being stopped.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, mode)
            if _is_still(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, mode: int) -> None:
    """Lock, asking again and again: a thread that waits in flock(2) does not hear of a signal."""
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if mode & fcntl.LOCK_NB:
                raise
            hangup.pause(_AGAIN_SECONDS)
        else:
            return


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
