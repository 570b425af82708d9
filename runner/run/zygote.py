"""The process that workers are forked from: the executor is imported here once, and no thread ever started.

It is driven over a socket of packets, each a JSON object, fds beside it:

    → {"do": "launch", "worker": 1} + fds: job file, event pipe, output pipe
    → {"do": "signal", "worker": 1, "number": 15}
    ← {"started": 1, "pid": 4711}    {"refused": 1, "reason": "…"}    {"ended": 1, "status": wait status}
    ← {"broken": "why the import failed"}
When the other end closes, because the run is over or its process was killed, the workers are ended and so is this.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from executor.dataclass import prepare_next
from runner.run import worker

EntryLoader: TypeAlias = Callable[[], worker.JobEntry]
PACKET_BYTES = 4096
_PASSED = 3  # descriptors with a launch
_GRACE_SECONDS = 10.0
_KILL_SECONDS = 2.0


def run(control: socket.socket, load: EntryLoader) -> NoReturn:
    """Be the zygote until `control` closes, then exit. Called in a fresh fork."""
    status = 1
    try:
        # Ctrl-C reaches the whole process group. Blocked, not ignored: a worker unblocks these signals once its
        # own handlers are in place, so that none is lost between fork and readiness.
        signal.pthread_sigmask(signal.SIG_BLOCK, worker.STOP_SIGNALS)
        entry = _loaded(control, load)
        if entry:
            _Zygote(control, entry).serve()
            status = 0
    except Exception:  # noqa: BLE001  # nothing may unwind into the code that forked this process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _loaded(control: socket.socket, load: EntryLoader) -> worker.JobEntry | None:
    gc.disable()  # modules are no garbage, and there are many
    try:
        entry = load()
    except Exception as error:  # noqa: BLE001  # whatever an import can raise; the run is told
        reason = f"{type(error).__name__}: {error}"[: PACKET_BYTES // 8]
        with contextlib.suppress(OSError):
            control.send(json.dumps({"broken": reason}).encode())
        return None
    gc.freeze()  # workers share these pages as long as the collector does not touch them
    gc.enable()
    return entry


class _Zygote:
    """Forks, signals and reaps. `_workers` maps the caller's numbers to pids of processes not yet reaped."""

    def __init__(self, control: socket.socket, entry: worker.JobEntry) -> None:
        self._control = control
        self._entry = entry
        self._workers: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Do what is asked until the other end closes; then leave no worker behind."""
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        is_open = idle_work = True
        while is_open:
            ready = {key.fileobj for key, _ in self._selector.select(0 if idle_work else None)}
            if idle_work and not ready:
                idle_work = prepare_next()
            self._reap()
            if self._control in ready:
                is_open = self._answer()
        self._end_workers()

    def _answer(self) -> bool:
        """Handle one packet. False when there are no more."""
        try:
            packet, fds, flags, _address = socket.recv_fds(self._control, PACKET_BYTES, _PASSED)
        except ConnectionResetError:  # killed, with notices of ours unread
            return False
        if not packet:
            return False
        request = json.loads(packet)
        if request["do"] == "launch":
            if flags & socket.MSG_CTRUNC:  # the kernel passes those for which there is room
                self._refuse(request["worker"], fds, os.strerror(errno.EMFILE))
            else:
                self._launch(request["worker"], fds)
        elif pid := self._workers.get(request["worker"]):
            _signal(pid, request["number"])
        return True

    def _launch(self, number: int, fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._refuse(number, fds, os.strerror(error.errno or 0))
            return
        if pid == 0:
            self._become_worker(fds)
        self._workers[number] = pid
        self._tell(started=number, pid=pid)
        _close(fds)

    def _refuse(self, number: int, fds: list[int], reason: str) -> None:
        self._tell(refused=number, reason=reason)
        _close(fds)

    def _become_worker(self, fds: list[int]) -> NoReturn:
        status = 70
        try:
            job_file, event_pipe, output_pipe = fds
            os.setsid()
            self._forget()
            _redirect(output_pipe)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            status = worker.serve(self._entry, job_file, event_pipe)
        except Exception:  # noqa: BLE001  # nothing may unwind into the zygote's loop
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _forget(self) -> None:
        """Close what only the zygote may hold: an open copy here would hide the end of the run from it."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._control.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)
        for number, pid in list(self._workers.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _signal(pid, signal.SIGKILL)  # what is left of its group; until it is reaped its number is no other's
            _, status = os.waitpid(pid, 0)
            del self._workers[number]
            self._tell(ended=number, status=status)

    def _tell(self, **notice: Any) -> None:
        with contextlib.suppress(OSError):  # the other end is gone: the next packet read says so
            self._control.send(json.dumps(notice).encode())

    def _end_workers(self) -> None:
        for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            for pid in self._workers.values():
                _signal(pid, number)
            deadline = time.monotonic() + seconds
            while self._workers and time.monotonic() < deadline:
                time.sleep(0.02)
                self._reap()


def _redirect(output_pipe: int) -> None:
    """Standard input from /dev/null, standard output and error into the pipe."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output_pipe, 1)
    os.dup2(output_pipe, 2)
    for fd in {null, output_pipe} - {0, 1, 2}:
        os.close(fd)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _signal(pid: int, number: int) -> None:
    """SIGKILL goes to the worker's process group, anything else to the worker, which knows what to end."""
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):  # no group yet: forked a moment ago
                os.killpg(pid, number)
        os.kill(pid, number)
