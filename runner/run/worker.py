"""What a worker process does: read a job, build or push, write events as JSON lines, and end.

The last line is always a BuildSucceeded or a BuildFailed, unless the process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, TypeAlias

from executor import events
from executor.errors import Error, InternalError, StoppedError
from executor.spec import BuildResult, Job, job_from_json

Emit: TypeAlias = Callable[[dict[str, Any]], None]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAST = frozenset({"BuildSucceeded", "BuildFailed"})


class JobEntry(Protocol):
    """The one door into the executor: builds or pushes an image and tells of it by JSON events
    (`executor.events.to_json`).

    Raises executor.errors.Error.
    """

    def __call__(self, job: Job, emit: Emit) -> BuildResult:
        """`emit` may be called from any thread and does not raise."""


def serve(entry: JobEntry, job_file: int, event_pipe: int) -> int:
    """Do the job in the file `job_file`, write events to `event_pipe` (file descriptors); the exit status.

    Called with STOP_SIGNALS blocked.
    """
    writer = _EventWriter(event_pipe)
    try:
        _stop_on_signals()
        with os.fdopen(job_file, "rb") as stream:
            job = job_from_json(json.load(stream))
        writer.end(events.BuildSucceeded(result=entry(job, writer).to_json()))
    except Error as error:
        return _failed(writer, error)
    except Exception as error:  # noqa: BLE001  # the border of the process: whatever it is, the run must hear of it
        traceback.print_exc()
        bug = InternalError(f"{type(error).__name__}: {error}", hint="please report this with the output above it")
        return _failed(writer, bug)
    return 0


def _stop_on_signals() -> None:
    """Let a signal end the work by a StoppedError in the main thread; the first only, so that cleaning can end.

    One that is ignored stays so (with `nohup`, say, SIGHUP), but for SIGTERM, by which the run stops its workers.
    """
    for number in STOP_SIGNALS:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise StoppedError(number)


def _failed(writer: _EventWriter, error: Error) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    writer.end(events.BuildFailed.of(error))
    return error.exit_code


class _EventWriter:
    """Writes one JSON object a line, whole lines only, from any thread. Silent once nobody reads any more.

    Each gets `at`, when it happened by time.monotonic(), which counts alike in all processes of a machine.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._ended = False

    def __call__(self, document: dict[str, Any]) -> None:
        line = memoryview(json.dumps({"at": time.monotonic(), **document}).encode("ascii") + b"\n")
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._ended = self._ended or document.get("type") in _LAST
            while line:
                line = line[os.write(self._pipe, line) :]

    def end(self, event: events.Event) -> None:
        """Write the last event, if the entry has not done it itself."""
        if not self._ended:
            self(events.to_json(event))
