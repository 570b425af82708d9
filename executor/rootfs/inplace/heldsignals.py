"""Signals that wait while the container's own files are moved.

A mask does not do it: the kernel gives the signal to another thread, and Python runs the handler, which raises, in
the main thread all the same.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HeldSignals:
    """Within the context the handlers of stop signals are not called; the first that came is when it is left.

    In other threads than the main one nothing is held: no handler is called there.
    """

    def __init__(self, numbers: Sequence[signal.Signals] = _STOPS) -> None:
        self._numbers = numbers if threading.current_thread() is threading.main_thread() else ()
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        for number in self._numbers:
            self._handlers[number] = signal.signal(number, self._note) or signal.SIG_DFL
        return self

    def __exit__(self, *_exc: object) -> None:
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, handler)
        if self._came:
            came, self._came = self._came[0], []
            signal.raise_signal(came)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within this context signals are handled as before; one that waits is at once."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)
