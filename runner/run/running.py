"""One image in progress, as the run sees it: what its worker tells, until it ends and becomes an Outcome."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator

from executor import events
from executor.errors import InternalError, PushError, StoppedError, TimedOutError, UnfitError
from executor.spec import BuildResult, ProvenDriver, build_result_from_json
from runner.outcome import Outcome
from runner.run.workers import Ended, Launched
from runner.runevents import ImageEvent, ImageOutput, RunEvent

_READ_BYTES = 1 << 16
_LONGEST_LINE = 1 << 24
_AFTER_THE_BUILD = (PushError.__name__, TimedOutError.__name__)
_SIGNALS = {int(number): number.name for number in signal.Signals}  # real-time signals have no names
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


class _Lines:
    """Whole lines from a non-blocking pipe. A line that grows without end is cut."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    def read(self) -> tuple[list[bytes], bool]:
        """The lines that are complete now, and whether more may come."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return [], True
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if self._rest and (not data or len(self._rest) > _LONGEST_LINE):
            lines.append(self._rest)
            self._rest = b""
        return lines, bool(data)

    def rest(self) -> list[bytes]:
        """Everything that is in the pipe now, but no more than an orphan can be writing without end."""
        data = self._rest
        with contextlib.suppress(BlockingIOError):
            while len(data) < _LONGEST_LINE and (more := os.read(self.fd, _READ_BYTES)):
                data += more
        return data.removesuffix(b"\n").split(b"\n") if data else []


class RunningImage:
    """Reads a worker's two pipes. `halted` says that the run has no use for it any more, `timed_out` that its
    `timeout` (seconds, 0: none) is over; `asked` and `killed` what was done about it, `end_at` when the next step
    is due by time.monotonic(); `sending` that it is built, and all that is left to do is to push it;
    `proven` is what RootfsOptions says.
    """

    def __init__(self, name: str, launched: Launched, *, timeout: float = 0.0) -> None:
        self.name = name
        self.number = launched.number
        self.timeout = timeout
        self.halted = self.timed_out = self.asked = self.killed = self.sending = False
        self._pipes = {fd: _Lines(fd) for fd in (launched.events, launched.output)}
        self._event_fd = launched.events
        self._started = time.monotonic()
        self.end_at = self._started + timeout if timeout else float("inf")
        self.proven: ProvenDriver = ""
        self._digest = ""
        self._size = 0
        self._last: events.BuildSucceeded | events.BuildFailed | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """The pipes to wait for."""
        return tuple(self._pipes)

    def read(self, fd: int) -> tuple[list[RunEvent], bool]:
        """What has come through the pipe `fd`, and whether more may come."""
        lines, is_open = self._pipes[fd].read()
        return list(self._told(fd, lines)), is_open

    def close(self) -> list[RunEvent]:
        """What is still in the pipes; then they are closed. An orphan that holds one open is not waited for."""
        told = [event for fd, lines in self._pipes.items() for event in self._told(fd, lines.rest())]
        for fd in self._pipes:
            os.close(fd)
        return told

    def outcome(self, ended: Ended) -> Outcome:
        """What became of the image, now that its worker is gone and `close` was called."""
        match self._last:
            case events.BuildSucceeded(result=document):
                return self._built(build_result_from_json(document))
            case _ if self.timed_out:
                return self._failed(events.BuildFailed.of(TimedOutError(self.timeout)))
            case events.BuildFailed() as failure:
                return self._failed(failure)
            case None:
                return self._failed(_unexplained(ended))

    def _told(self, fd: int, lines: list[bytes]) -> Iterator[RunEvent]:
        for line in lines:
            told = _parsed(self.name, line) if fd == self._event_fd else None
            if told is None:
                yield ImageOutput(name=self.name, line=line.decode("utf-8", "replace"))
                continue
            self._note(told.event)
            yield told

    def _note(self, event: events.Event) -> None:
        match event:
            case events.ImageBuilt(digest=digest, size=size):
                self._digest, self._size = digest, size
            case events.DriverChosen(driver="overlay"):
                self.proven = "overlay"
            case events.PushStarted():
                self.sending = True
            case events.StageStarted():  # also again, when a cached layer proves damaged in the push
                self.sending = False
            case events.BuildSucceeded() | events.BuildFailed():
                self._last = event
            case _:
                pass

    def _built(self, result: BuildResult) -> Outcome:
        return Outcome(
            name=self.name,
            status="built",
            seconds=self._seconds(),
            digest=result.digest,
            size=result.size,
            pushed=result.pushed,
        )

    def _failed(self, failure: events.BuildFailed) -> Outcome:
        push_failed = failure.kind in _AFTER_THE_BUILD and self._digest
        stopped = self.halted or failure.kind == StoppedError.__name__
        return Outcome(
            name=self.name,
            status="push failed" if push_failed else "stopped" if stopped else "failed",
            seconds=self._seconds(),
            digest=self._digest if push_failed else "",
            size=self._size if push_failed else 0,
            kind=failure.kind,
            message=failure.message,
            hint=failure.hint,
            retryable=failure.retryable,
            file=failure.file,
            line=failure.line,
            excerpt=failure.excerpt,
        )

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def _parsed(name: str, line: bytes) -> ImageEvent | None:
    """The event, at the time its worker says; None for what is none, such as half a line of a killed worker."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        document = json.loads(line)
        at = float(document.pop("at", time.monotonic()))
        return ImageEvent(name=name, event=events.from_json(document), at=at)
    return None


def _unexplained(ended: Ended) -> events.BuildFailed:
    """The failure of a worker that ended without saying why."""
    if ended.refusal:
        return _failure(
            UnfitError,
            f"no process can be started: {ended.refusal}",
            "raise the limit of processes, of open files or of memory",
        )
    if ended.code >= 0:
        return _failure(
            InternalError, f"the worker ended without a result (status {ended.code})", "please report it"
        )
    name = _SIGNALS.get(-ended.code, f"signal {-ended.code}")
    message = f"the worker was killed by {name}"
    if -ended.code in _CRASHES:
        return _failure(InternalError, message, "it crashed; please report it")
    hint = "most often the kernel was short of memory: allow the container more" if name == "SIGKILL" else ""
    return events.BuildFailed(kind="Error", message=message, hint=hint, exit_code=1, retryable=False)


def _failure(kind: type[InternalError | UnfitError], message: str, hint: str) -> events.BuildFailed:
    return events.BuildFailed(
        kind=kind.__name__, message=message, hint=hint, exit_code=kind.exit_code, retryable=False
    )
