"""Runs the command of a RUN in a root: starts it, passes its output on line by line, leaves nothing of it behind.

    worker ── fork ──> guard ── fork ──> command (PID 1 of its own namespace where one may be made)
              outlives the command, kills what it left, gives its status

The guard is `confinement.guard`; both children use nothing but `os` and system calls between fork and exec, since
other threads of the worker may hold any lock.
"""

from __future__ import annotations

import codecs
import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from executor.errors import StepError, UnfitError
from executor.rootfs.base import AbandonedError, OnLine, RunRequest
from executor.rootfs.command.confinement import Confinement, guard
from executor.rootfs.command.strays import kill_strays
from executor.rootfs.kernel.forking import fork_with_signals_blocked

_LONGEST_LINE = 64 * 1024
_READ = 64 * 1024


def run(request: RunRequest, confinement: Confinement, on_line: OnLine) -> int:
    """Run the command as RootFs.run says: its exit status, or 128 + n when signal n ended it.

    Whatever ends the wait (an exception in `on_line`, a signal handler's) kills the command and all it started.
    """
    with _Pipes() as pipes:
        guard_pid, mask = fork_with_signals_blocked()
        if guard_pid == 0:
            guard(request, confinement, pipes.write_ends)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            pipes.close_write_ends()
            _pass_on(pipes.output, on_line, request.give_up, None if confinement.namespaces else guard_pid)
            failure = _read_all(pipes.failure)
            status = os.waitstatus_to_exitcode(os.waitpid(guard_pid, 0)[1])
        except BaseException:
            pipes.close_write_ends()
            _stop(guard_pid, pipes.pid)
            if not confinement.namespaces:
                kill_strays(guard_pid)
            raise
    _raise_failure(failure)
    return status if status >= 0 else 128 - status


class _Pipes:
    """The pipes between the worker and the command: its output, why it did not start, its process id.

    stdout and stderr are one: of two nobody could tell what was written first.
    """

    def __init__(self) -> None:
        ends = [os.pipe() for _ in range(3)]  # not inheritable: exec closes what it was not given as 0, 1, 2
        self._open = {descriptor for pair in ends for descriptor in pair}
        self.output, self.failure, self.pid = (pair[0] for pair in ends)
        self.write_ends = (ends[0][1], ends[1][1], ends[2][1])

    def __enter__(self) -> Self:
        return self

    def close_write_ends(self) -> None:
        for descriptor in self._open.intersection(self.write_ends):
            os.close(descriptor)
            self._open.discard(descriptor)

    def __exit__(self, *exc: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)


def _pass_on(output: int, on_line: OnLine, give_up: int | None, guard_pid: int | None) -> None:
    """Feed lines to `on_line` until every writer is gone. Raises AbandonedError when `give_up` can be read.

    The command may have killed the guard `guard_pid`; then its work is done when that has ended.
    """
    lines = LineSplitter()
    with selectors.DefaultSelector() as selector, _ending(guard_pid) as ended:
        for descriptor in (output, *(each for each in (give_up, ended) if each is not None)):
            selector.register(descriptor, selectors.EVENT_READ)
        while output in selector.get_map():
            for key, _ in selector.select():
                if key.fd == give_up:
                    raise AbandonedError
                if key.fd == ended:
                    selector.unregister(key.fd)
                    kill_strays(guard_pid or 0)
                    continue
                data = os.read(key.fd, _READ)
                if not data:
                    selector.unregister(key.fd)
                for line in lines.split(data):
                    on_line(line)


@contextmanager
def _ending(process_id: int | None) -> Iterator[int | None]:
    """A descriptor that can be read when a child has ended."""
    descriptor = None if process_id is None else os.pidfd_open(process_id)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


class LineSplitter:
    """Cuts a byte stream into lines of text; longer ones into pieces of 64 KiB."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def split(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends; b'' is the end and completes the last."""
        text = self._rest + self._decoder.decode(data, final=not data)
        *lines, self._rest = text.split("\n")
        if len(self._rest) >= _LONGEST_LINE or not data:
            lines += [self._rest] if self._rest else []
            self._rest = ""
        return [piece for line in lines for piece in _pieces(line.removesuffix("\r"))]


def _pieces(line: str) -> list[str]:
    if len(line) <= _LONGEST_LINE:
        return [line]
    return [line[start : start + _LONGEST_LINE] for start in range(0, len(line), _LONGEST_LINE)]


def _read_all(descriptor: int) -> str:
    pieces = []
    while data := os.read(descriptor, _READ):
        pieces.append(data)
    return b"".join(pieces).decode("utf-8", "replace")


def _stop(guard_pid: int, pid_pipe: int) -> None:
    """Kill the command; the guard then sees to the rest of it and ends."""
    command = _read_all(pid_pipe)
    with suppress(ProcessLookupError):
        os.kill(int(command) if command else guard_pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # it was waited for just before
        os.waitpid(guard_pid, 0)


def _raise_failure(failure: str) -> None:
    kind, _, message = failure.partition(":")
    if kind == "step":
        raise StepError(message)
    if kind:
        raise UnfitError(message, hint="`krunner doctor` shows what this machine allows")
