"""Bringing `/` back after a process was killed while a tree was in its place; waiting while others have `/`."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from executor.errors import UnfitError
from executor.rootfs import guard
from executor.rootfs.lentdev import LentDev
from executor.rootfs.lentfiles import LentFiles
from executor.rootfs.ownfiles import OwnFiles
from executor.rootfs.takeover import Takeover

FOLDER = f"{guard.HOME}/takeover"
_RECORDS = ("journal.json", "dev.json", "files.json", "own.json")
_PATIENCE = 10.0
"""Seconds for a killed process to be gone; one that waits for a disk takes that long."""


def recover() -> bool:
    """Bring `/` back when a killed process left a tree in its place; True when that was so.

    A living process that has `/` is left alone. Raises UnfitError when `/` cannot be brought back.
    """
    if not _is_unfinished():
        return False
    with suppress(BlockingIOError), _lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
        return _undo()
    return False


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process has `/`; what one of them left that was killed is undone first."""
    with _lock(fcntl.LOCK_EX):
        _undo()
        yield


@contextmanager
def _lock(operation: int) -> Iterator[None]:
    """Hold the lock, which ends with its process. Raises BlockingIOError when it must not wait but has to."""
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    descriptor = os.open(f"{FOLDER}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _is_unfinished() -> bool:
    return any(os.path.exists(f"{FOLDER}/{name}") for name in _RECORDS)


def _undo() -> bool:
    if not _is_unfinished():
        return False
    takeover = Takeover(guard.permit(), FOLDER)
    if stays := takeover.unfinished():
        _kill_strangers(stays)
        takeover.recover()
    LentDev(FOLDER).take_back()
    LentFiles(FOLDER).take_back()
    OwnFiles(FOLDER).put_right()
    return True


def _kill_strangers(stays: tuple[str, ...]) -> None:
    """Kill what a killed build's command left running, and wait until it is gone: it could write meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    while strangers := list(_strangers(stays)):
        for process_id in strangers:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise UnfitError(
                f"/ cannot be brought back: process {strangers[0]} of a command does not end",
                hint="start a new container",
            )
        time.sleep(0.005)


def _strangers(stays: tuple[str, ...]) -> Iterator[int]:
    """The processes whose program is not from a path that stays. One that has ended has no program."""
    for process_id in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            program = os.readlink(f"/proc/{process_id}/exe")
            if not any(f"{program}/".startswith(f"{path}/") for path in stays):
                yield int(process_id)
