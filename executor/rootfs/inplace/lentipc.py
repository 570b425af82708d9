"""Shared memory, semaphores and message queues of System V, which outlive the processes of a command.

Where a command has no namespace of its own for them they are the container's: the next one would find them. The
containers of a pod have one namespace for them all, so what is new need not be the command's. It is where who made
or last used it was a process of this container that is no more; of what nobody used yet nothing is known, and it
stays.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from executor.errors import UnfitError
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.forking import fork_with_signals_blocked

_PROCESS_COLUMNS = {"msg": b"lspid", "shm": b"cpid"}
"""Where the process stands that made it or last used it. Of semaphores only a system call tells."""


class _Object(NamedTuple):
    """`owner` is the user who made it, `process` who used it: 0 for nobody, or a process of another container."""

    kind: str
    number: int
    owner: int
    process: int


class LentIpc:
    """Those of this process's namespace. Lend them and take them back."""

    def __init__(self, folder: str = "/proc/sysvipc") -> None:
        self._folder = folder
        self._lent: frozenset[tuple[str, int]] | None = None

    def lend(self) -> None:
        """Remember which there are."""
        self._lent = frozenset((each.kind, each.number) for each in self._objects())

    def take_back(self) -> None:
        """Remove those that commands made since they were lent. Raises UnfitError naming what cannot be."""
        if self._lent is None:
            return
        for each in list(self._objects()):
            if (each.kind, each.number) not in self._lent and not _give_up(each):
                raise UnfitError(
                    f"a command left System V IPC ({each.kind} {each.number} of user {each.owner}), "
                    "which cannot be removed",
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

    def _objects(self) -> Iterator[_Object]:
        for kind in syscalls.IPC_KINDS:
            with suppress(OSError), open(f"{self._folder}/{kind}", "rb") as file:  # no codec is needed
                names = file.readline().split()
                yield from (_object(kind, names, line.split()) for line in file)


def _object(kind: str, names: Sequence[bytes], words: Sequence[bytes]) -> _Object:
    owner = int(words[names.index(b"cuid")])
    process = int(words[names.index(_PROCESS_COLUMNS[kind])]) if kind in _PROCESS_COLUMNS else 0
    return _Object(kind, int(words[1]), owner, process)


def _give_up(each: _Object) -> bool:
    """Remove it if it is a command's, as the user who made it: root may do it for others only with CAP_SYS_ADMIN.

    False when that could not be done.
    """
    child, mask = fork_with_signals_blocked()
    if child == 0:
        status = 1
        with suppress(BaseException):  # a forked child must not return into its parent's code
            os.setuid(each.owner)
            process = each.process or (syscalls.last_user_of_semaphores(each.number) if each.kind == "sem" else 0)
            if process and not os.path.exists(f"/proc/{process}"):
                syscalls.remove_ipc(each.kind, each.number)
            status = 0
        os._exit(status)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return os.waitpid(child, 0)[1] == 0
