"""The run's view of its worker processes: starts the zygote, asks it for workers, hears how they end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from typing import Any, Protocol

from executor.dataclass import dataclass
from executor.errors import InternalError
from executor.spec import Job, job_to_json
from runner.run import zygote

_BROKEN_HINT = "the installation may be damaged: install krunner anew, and if that does not help, report it"


@dataclass(frozen=True, slots=True)
class Launched:
    """A worker. `events` and `output` are the non-blocking read ends of its pipes; the receiver closes them."""

    number: int
    events: int
    output: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker is gone. `code` is its exit status, or minus the number of the signal that killed it.

    `refusal` says why it could not be started at all.
    """

    number: int
    code: int
    refusal: str = ""


class WorkerPool(Protocol):
    """Where workers come from."""

    def fileno(self) -> int:
        """Readable when `receive` has something to say."""

    def launch(self, job: Job) -> Launched:
        """Start a worker on `job`. Raises InternalError when that is no longer possible, and OSError."""

    def signal(self, number: int, signal_number: int) -> None:
        """Send a signal to a worker; SIGKILL to its process group. Nothing happens to one that is gone."""

    def receive(self) -> list[Ended]:
        """The workers that ended since the last call. Raises InternalError when the zygote is lost."""


class ZygotePool:
    """A WorkerPool that forks from a zygote. `start` must be called before the process has threads."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control = control
        self._pid = pid
        self._next = 1
        self._pids: dict[int, int] = {}

    @classmethod
    def start(cls, load: zygote.EntryLoader) -> ZygotePool:
        """Fork the zygote; it imports the executor by `load` while this process goes on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            zygote.run(theirs, load)
        theirs.close()
        return cls(ours, pid)

    def fileno(self) -> int:
        """The socket to the zygote."""
        return self._control.fileno()

    def launch(self, job: Job) -> Launched:
        """Hand `job` over in an anonymous file, so that neither side can block on a full pipe."""
        number, self._next = self._next, self._next + 1
        ours: list[int] = []  # where events and output are read
        theirs: list[int] = []
        try:
            theirs.append(_anonymous_file(json.dumps(job_to_json(job)).encode()))
            for _ in range(2):
                reader, writer = os.pipe2(os.O_CLOEXEC)
                ours.append(reader)
                theirs.append(writer)
            self._send({"do": "launch", "worker": number}, theirs)
        except BaseException:
            theirs += ours
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in ours:
            os.set_blocking(fd, False)
        return Launched(number, *ours)

    def signal(self, number: int, signal_number: int) -> None:
        """By way of the zygote, which alone knows that the pid is still the worker's."""
        with contextlib.suppress(InternalError):
            self._send({"do": "signal", "worker": number, "number": int(signal_number)})

    def receive(self) -> list[Ended]:
        """Read what the zygote has sent, without waiting."""
        ended: list[Ended] = []
        while (packet := self._packet()) is not None:
            ended += self._understood(json.loads(packet))
        return ended

    def close(self) -> None:
        """End the zygote and any worker that is left; takes up to 12 seconds if one does not want to."""
        self._control.close()
        if self._pid:
            if self._next == 1:  # no worker to end: the imports under way need not be waited for
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _send(self, request: dict[str, Any], fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], fds or [])
        except OSError as error:
            self.receive()  # raises what the zygote said last, or that it died
            raise InternalError(f"no request reaches the process that starts workers: {error.strerror}") from error

    def _packet(self) -> bytes | None:
        """The next packet; None when there is none now."""
        try:
            packet = self._control.recv(zygote.PACKET_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            packet = b""
        if not packet:
            raise self._lost()
        return packet

    def _understood(self, notice: dict[str, Any]) -> list[Ended]:
        match notice:
            case {"started": number, "pid": pid}:
                self._pids[number] = pid
                return []
            case {"refused": number, "reason": reason}:
                return [Ended(number, 1, refusal=reason)]
            case {"ended": number, "status": status}:
                del self._pids[number]
                return [Ended(number, os.waitstatus_to_exitcode(status))]
            case {"broken": reason}:
                raise InternalError(f"the executor cannot be imported: {reason}", hint=_BROKEN_HINT)
            case _:
                raise InternalError(f"unknown notice of the zygote: {notice}")

    def _lost(self) -> InternalError:
        """The zygote died: its workers are orphans that nobody else would end."""
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._pids.clear()
        return InternalError("the process that starts workers died", hint=_BROKEN_HINT)


def _anonymous_file(data: bytes) -> int:
    fd = os.memfd_create("job", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb", closefd=False) as stream:
        stream.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
