"""Hanging up on every peer when this process is being stopped: no thread may wait for one that never answers."""

from __future__ import annotations

import os
import socket
import stat
import threading
from contextlib import suppress

from executor.errors import StoppedError

_AGAIN_SECONDS = 0.05
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class _State:
    """`number` is the signal that stops this process; for the time of a build."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.ended = threading.Event()
        self.number = 0
        self.thread: threading.Thread | None = None


_state = _State()


def begin() -> None:
    """Let peers be talked to, from the beginning of a build."""
    global _state
    before, _state = _state, _State()
    before.ended.set()
    if before.thread:
        before.thread.join()


def hang_up(number: int) -> None:
    """End what is under way with peers because of the signal `number`, and go on ending it until the next `begin`.

    May be called in a signal handler.
    """
    _state.number = number
    _state.thread = threading.Thread(target=_shut_down, args=(_state,), name="hang-up", daemon=True)
    _state.thread.start()


def is_over() -> bool:
    """Whether nothing is worth another try."""
    return _state.number != 0


def check() -> None:
    """Raise StoppedError when nobody is to be called any more."""
    if _state.number:
        raise StoppedError(_state.number)


def pause(seconds: float) -> None:
    """Sleep. Raises StoppedError as soon as this process is being stopped."""
    state = _state
    if state.over.wait(seconds):
        raise StoppedError(state.number)


def _shut_down(state: _State) -> None:
    """A thread may be about to connect: so again and again."""
    state.over.set()  # not in the handler: what it interrupts may hold the event's lock
    while not state.ended.is_set():
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                _shut_down_one(int(name))
        state.ended.wait(_AGAIN_SECONDS)


def _shut_down_one(descriptor: int) -> None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return
    with socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family in _FAMILIES and not same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            same.shutdown(socket.SHUT_RDWR)
