"""Turns SIGINT, SIGTERM and SIGHUP into something a selector can wait for."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalSource(Protocol):
    """Where the run hears that it shall stop."""

    def fileno(self) -> int:
        """Readable when a signal has come."""

    def read(self) -> tuple[int, ...]:
        """The numbers of the signals since the last call, oldest first."""


class SignalPipe:
    """A SignalSource for this process while it is entered; afterwards the old handlers are back."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, say, SIGHUP stays ignored
                self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """The end of the pipe that the interpreter writes signal numbers to."""
        return self._reader

    def read(self) -> tuple[int, ...]:
        """Signals of other kinds, which the interpreter also notes, are left out."""
        with contextlib.suppress(BlockingIOError):
            return tuple(number for number in os.read(self._reader, 64) if number in STOPPING)
        return ()


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The interpreter has already written the number to the pipe."""
