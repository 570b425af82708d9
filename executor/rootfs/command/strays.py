"""Tells the processes that a command started from all others, where it has no process ids of its own.

They may become orphans, sessions, other users, other programs, and may hide their program from /proc; a limit
that no process here may raise again stays with them. It is that of file locks, not enforced since Linux 2.4.25.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

_RLIMIT_LOCKS = 10  # on all ports
_NAME = b"Max file locks"
_MARK = 1 << 40
_PATIENCE = 10.0
_PAUSE = 0.002


def mark(number: int) -> None:
    """Make this process and all that it starts strays of `number` (an id of a process: below 2 ** 22).

    Where it has a lower limit already nothing is done.
    """
    limit = resource.getrlimit(_RLIMIT_LOCKS)[1]
    if limit == resource.RLIM_INFINITY or limit > _MARK + number:
        resource.setrlimit(_RLIMIT_LOCKS, (_MARK + number, _MARK + number))


def strays(number: int | None = None) -> Iterator[int]:
    """The ids of living processes that are marked: with `number`, or with any and perhaps lowered since."""
    own = _limit("self")
    for name in filter(str.isdecimal, os.listdir("/proc")):
        limit = _limit(name)
        if limit is None or limit == own:
            continue
        if limit == _MARK + number if number is not None else limit < _MARK << 1:
            yield int(name)


def kill_strays(number: int) -> None:
    """Kill the strays of `number` until there are none; one that does not end within 10 s is left."""
    deadline = time.monotonic() + _PATIENCE
    while (found := list(strays(number))) and time.monotonic() < deadline:
        for process_id in found:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGSTOP)  # or they might start others faster than they are killed
        for process_id in found:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        time.sleep(_PAUSE)


def _limit(name: str) -> int | None:
    """The hard limit of a process; None when it is unlimited, or the process has ended."""
    try:
        with open(f"/proc/{name}/limits", "rb") as file:
            line = next((line for line in file if line.startswith(_NAME)), b"")
        with open(f"/proc/{name}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except OSError:
        return None
    words = line.removeprefix(_NAME).split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() and state not in b"ZX" else None
