"""Shared memory, semaphores and message queues of System V, which outlive the processes of a command.

Where a command has no namespace of its own for them they are the container's: the next one would find them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

from executor.errors import UnfitError
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.forking import fork_with_signals_blocked

_Object: TypeAlias = tuple[str, int, int]  # kind, id, the user who made it


class LentIpc:
    """Those of this process's namespace. Lend them and take them back."""

    def __init__(self, folder: str = "/proc/sysvipc") -> None:
        self._folder = folder
        self._lent: frozenset[_Object] | None = None

    def lend(self) -> None:
        """Remember which there are."""
        self._lent = frozenset(self._objects())

    def take_back(self) -> None:
        """Remove those that are new since they were lent. Raises UnfitError naming what cannot be removed."""
        if self._lent is None:
            return
        for kind, number, user in self._new():
            _remove(kind, number, user)
        for kind, number, user in self._new():
            raise UnfitError(
                f"a command left System V IPC ({kind} {number} of user {user}), which cannot be removed",
                hint="start a new container",
            )
        self._lent = None

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend them for the time of the context."""
        self.lend()
        try:
            yield
        finally:
            self.take_back()

    def _new(self) -> list[_Object]:
        return sorted(frozenset(self._objects()).difference(self._lent or ()))

    def _objects(self) -> Iterator[_Object]:
        for kind in syscalls.IPC_KINDS:
            with suppress(OSError), open(f"{self._folder}/{kind}", "rb") as file:  # no codec is needed
                names = file.readline().split()
                user = names.index(b"cuid")
                yield from ((kind, int(words[1]), int(words[user])) for words in map(bytes.split, file))


def _remove(kind: str, number: int, user: int) -> None:
    """Remove it as the user who made it: root may do it for others only with CAP_SYS_ADMIN."""
    child, mask = fork_with_signals_blocked()
    if child == 0:
        with suppress(BaseException):  # a forked child must not return into its parent's code
            os.setuid(user)
            syscalls.remove_ipc(kind, number)
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.waitpid(child, 0)
