"""The processes that have a store open: a folder `work/<session>` each, and `<session>.lock`, held while it lives.

The lock file's time is when the session began.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from executor.removal import remove_tree

_LOCK = ".lock"


def new_session(work: str) -> tuple[str, int]:
    """Make a session folder and lock it. The lock file comes first, so no folder is ever without one."""
    while True:
        descriptor, lock_file = tempfile.mkstemp(suffix=_LOCK, prefix=f"{os.getpid()}-", dir=work)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(lock_file):  # else somebody took it for abandoned before it was locked
            session = lock_file.removesuffix(_LOCK)
            os.mkdir(session, 0o700)
            return session, descriptor
        os.close(descriptor)


def remove_abandoned(work: str) -> None:
    """Remove the folders of processes that are gone."""
    for lock_file, _ in _lock_files(work):
        try:
            descriptor = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its owner lives
        else:
            end_session(lock_file.removesuffix(_LOCK))
        finally:
            os.close(descriptor)


def end_session(session: str) -> None:
    """Remove the folder of a session whose lock the caller holds, then the lock file.

    Who was killed may have left a process that still writes there: what cannot be removed now is left, with its
    lock file, to whoever opens the store next.
    """
    remove_tree(session)
    if not os.path.lexists(session):
        Path(f"{session}{_LOCK}").unlink(missing_ok=True)


def oldest_start(work: str) -> float:
    """When the oldest running session began, in seconds since the epoch; infinity when there is none."""
    return min((began for lock_file, began in _lock_files(work) if _is_alive(lock_file)), default=float("inf"))


def _lock_files(work: str) -> Iterator[tuple[str, float]]:
    for entry in os.scandir(work):
        if entry.name.endswith(_LOCK):
            try:
                yield entry.path, entry.stat().st_mtime
            except FileNotFoundError:
                continue


def _is_alive(lock_file: str) -> bool:
    try:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
