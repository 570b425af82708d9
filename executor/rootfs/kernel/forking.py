"""Forking while signals wait: no handler of the parent's may run between the fork and what the child has to do."""

from __future__ import annotations

import os
import signal

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
