"""Ctrl-C and SIGTERM in the middle of a build: everything unwinds in the main thread, transfers end at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from executor import hangup
from executor.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 10.0
"""Seconds for unwinding. A thread that hangs all the same must not keep the process alive: what it leaves are
scratch files, which the next session removes."""


class StopFlag:
    """Set once, read by threads between two pieces of a transfer."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._number = int(signal.SIGTERM)

    def set(self, number: int) -> None:
        """Ask everything that checks to end because of signal `number`."""
        self._number = number
        self._event.set()

    def check(self) -> None:
        """Raise StoppedError when the build is being stopped."""
        if self._event.is_set():
            raise StoppedError(self._number)


@contextmanager
def stopping_on_signals(flag: StopFlag) -> Iterator[None]:
    """Let the first signal set `flag` and raise StoppedError in the main thread; later ones change nothing.

    A signal that this process was told to ignore, as nohup does, stays ignored. Outside of the main thread, where
    Python gives no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if came:  # this one comes in the middle of the first one's handler
            return
        came.append(number)
        for other in heeded:
            signal.signal(other, _ignored)
        flag.set(number)
        hangup.hang_up(number)
        watchdog = threading.Timer(_PATIENCE, os._exit, (128 + number,))
        watchdog.daemon = True
        watchdog.start()
        raise StoppedError(number)

    hangup.begin()
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
        # what a handler raises is lost where Python cannot pass it on, as in a hook of fork
        flag.check()
    except Exception:
        flag.check()  # and where it interrupts the start of a thread, threading raises something else
        raise
    finally:
        hangup.begin()
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignored(_number: int, _frame: FrameType | None) -> None:
    """Handles the signals after the first; unlike SIG_IGN it is not inherited by commands."""
