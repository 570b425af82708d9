"""Watches a process that puts a tree in place of `/`, and brings `/` back when that process is killed.

    worker ── fork ──> keeper     waits for the end of the worker's half of a pipe
                       exec ──>   this module as a program: `bring_back`, in an interpreter of its own

The keeper is asleep in a read; only when the worker ends without having said that all is well does it do anything.
If it is killed too, the next `executor` or `krunner` in the container does the same (see packaging/entry).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from executor.errors import UnfitError

_ALL_IS_WELL = b"."
RESTORED = "a build was killed while it ran a command in /: the container is as it was again"


@contextmanager
def watched() -> Iterator[None]:
    """Have a keeper within the context; leaving it, by whatever exception, says that `/` was seen to."""
    reading, writing = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    keeper = os.fork()
    if keeper == 0:
        _keep(reading)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reading)
    try:
        yield
    finally:
        with suppress(BrokenPipeError):  # it was killed
            os.write(writing, _ALL_IS_WELL)
        os.close(writing)
        os.waitpid(keeper, 0)


def _keep(reading: int) -> NoReturn:
    """Runs after a fork, while other threads of the parent may hold any lock: nothing but `os` here."""
    try:
        os.setsid()
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in (2, reading):
                with suppress(OSError):
                    os.close(int(name))
        if os.read(reading, 1) != _ALL_IS_WELL:
            os.execv(sys.executable, [sys.executable, "-IXutf8", "-m", "executor.rootfs.keeper"])  # noqa: S606
    finally:
        os._exit(0)


def bring_back() -> int:
    """Undo what killed processes left in place of `/`; the exit status. Says on standard error what it did."""
    from executor.rootfs.recovery import recover

    try:
        if recover():
            print(RESTORED, file=sys.stderr)  # noqa: T201 - as a program it has no other way
    except UnfitError as error:
        print(f"{error.message}\n    hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(bring_back())
