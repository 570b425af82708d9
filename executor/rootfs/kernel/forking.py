"""Forking while signals wait: no handler of the parent's may run between the fork and what the child has to do."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from executor.errors import UnfitError

_SIGNALS = signal.valid_signals()


def fork_with_signals_blocked() -> tuple[int, set[int]]:
    """What os.fork gives, and the signal mask to restore: in the parent as soon as it can let go of the child.

    A handler that raises inside of fork's own hooks would be lost. Raises UnfitError, with the mask as it was,
    when no process can be started.
    """
    mask: set[int] = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))
    try:
        return os.fork(), mask
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise UnfitError(
            f"no process can be started: {error.strerror}",
            hint="raise the limit of processes (ulimit -u, or that of the pod) or of memory",
        ) from error


def close_all_but(*kept: int) -> None:
    """In a forked child, let go of the parent's files: what it holds open does not end with them."""
    wanted = {0, 1, 2, *kept}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in wanted:
            with suppress(OSError):
                os.close(int(name))
