"""Forking while signals wait: no handler of the parent's may run between the fork and what the child has to do."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from executor.errors import UnfitError
from executor.rootfs.kernel import syscalls

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


class Child:
    """`work` done by a forked child, beside the threads of this process, which all wait for one another.

    It must import nothing and wait for no lock, which one of them may hold. It ends with this process. Raises
    UnfitError when no process can be started.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._pipe, writing = os.pipe()
        try:
            self._pid, mask = fork_with_signals_blocked()
        except UnfitError:
            os.close(self._pipe)
            os.close(writing)
            raise
        if self._pid == 0:
            _work(work, writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(writing)

    def result(self) -> None:
        """Wait for its end. Raises OSError when the work did, or the child was killed."""
        with os.fdopen(self._pipe, "rb") as pipe:
            number = pipe.read()
        if os.waitpid(self._pid, 0)[1]:
            error = int(number or errno.ECANCELED)
            raise OSError(error, os.strerror(error))

    def stop(self) -> None:
        """End it, wherever it is."""
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._pipe)
        os.waitpid(self._pid, 0)


def _work(work: Callable[[], object], writing: int) -> NoReturn:
    status = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        close_all_but(writing)
        work()
        status = 0
    except OSError as error:
        os.write(writing, b"%d" % (error.errno or errno.EIO))
    finally:
        os._exit(status)
