"""Watches a process that puts a tree in place of `/`, and brings `/` back when that process is killed.

    worker ── fork ──> keeper     waits for the end of the worker's half of a pipe

The keeper has all in memory that it takes, for a command may remove /kaniko with the interpreter in it. It sleeps
in a read; what comes through the pipe are the states of the takeover's journal, the last of which it keeps, and
at the end that all is well. Only when the worker ends without having said that does it do anything. If it is
killed too, the next `executor` or `krunner` in the container does the same (see packaging/entry).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from executor.errors import InternalError, UnfitError
from executor.rootfs.kernel.forking import fork_with_signals_blocked

_ALL_IS_WELL = b"."
_CHUNK = 64 * 1024
RESTORED = "a build was killed while it ran a command in /: the container is as it was again"


@contextmanager
def watched(held: Collection[int], bring_back: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Have a keeper within the context; leaving it, by whatever exception, says that `/` was seen to.

    The keeper keeps the descriptors `held`. It calls `bring_back`, which raises UnfitError, with the last line
    that the function which this gives was told.
    """
    reading, writing = os.pipe()
    try:
        keeper, mask = fork_with_signals_blocked()
    except UnfitError:
        os.close(reading)
        os.close(writing)
        raise
    if keeper == 0:
        _keep(reading, held, bring_back)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reading)

    def tell(line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with suppress(BrokenPipeError):  # it was killed
            while rest:
                rest = rest[os.write(writing, rest) :]

    try:
        yield tell
    finally:
        with suppress(BrokenPipeError):
            os.write(writing, _ALL_IS_WELL)
        os.close(writing)
        os.waitpid(keeper, 0)


def _keep(reading: int, held: Collection[int], bring_back: Callable[[bytes], object]) -> NoReturn:
    """Runs after a fork, while other threads of the parent may hold any lock: nothing that waits for one here."""
    try:
        os.setsid()
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in (2, reading, *held):
                with suppress(OSError):
                    os.close(int(name))
        last = rest = b""
        while data := os.read(reading, _CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            last = lines[-1] if lines else last
        if rest != _ALL_IS_WELL:
            _, text = _attempt(lambda: bring_back(last))
            _say(text)
    finally:
        os._exit(0)


def bring_back() -> int:
    """Undo what killed processes left in place of `/`; the exit status. Says on standard error what it did."""
    from executor.rootfs.inplace.recovery import recover

    status, text = _attempt(recover)
    _say(text)
    return status


def _attempt(action: Callable[[], object]) -> tuple[int, str]:
    """Do what tells whether there was something to do; the exit status and what to say."""
    try:
        return 0, RESTORED if action() else ""
    except UnfitError as error:
        return error.exit_code, f"{error.message}\n    hint: {error.hint}"
    except Exception as error:  # noqa: BLE001 - the keeper has nobody else to tell
        bug = InternalError(f"/ could not be brought back: {type(error).__name__}: {error}")
        return bug.exit_code, bug.message


def _say(text: str) -> None:
    """By a system call: after a fork the stream's lock may be held for ever."""
    if text:
        with suppress(OSError):
            os.write(2, f"{text}\n".encode("utf-8", "replace"))
